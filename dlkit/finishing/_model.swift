import CoreGraphics
import Foundation
import TensorFlowLite

/// An input or output of the file: real number = scale × (stored number − zeroPoint); a scale of 0 is none.
public struct /*[class]*/End {
    let name: String
    let dtype: String
    let size: Int
    let scale: Float
    let zeroPoint: Int

    /// Rounded half to even and cut off at the ends of the integers, where it is quantized.
    func stored(_ real: [Float]) -> Data {
        precondition(real.count == size, "\(name) takes \(size) numbers, not \(real.count)")
        switch dtype {
        case "uint8": return bytes(real.map { UInt8(integer($0, 0, 255)) })
        case "int16": return bytes(real.map { Int16(integer($0, -32768, 32767)) })
        case "int32": return bytes(real.map { Int32($0) })
        case "int64": return bytes(real.map { Int64($0) })
        default: return bytes(real)
        }
    }

    func real(_ data: Data) -> [Float] {
        switch dtype {
        case "uint8": return numbers(data, UInt8.self).map { Float(Int($0) - zeroPoint) * scale }
        case "int16": return numbers(data, Int16.self).map { Float(Int($0) - zeroPoint) * scale }
        case "int32": return numbers(data, Int32.self).map { Float($0) }
        case "int64": return numbers(data, Int64.self).map { Float($0) }
        default: return numbers(data, Float.self)
        }
    }

    private func integer(_ real: Float, _ low: Int, _ high: Int) -> Int {
        precondition(!real.isNaN, "\(name) takes no NaN")
        let rounded = (real / scale).rounded(.toNearestOrEven) + Float(zeroPoint)
        return Int(min(max(rounded, Float(low)), Float(high)))
    }

    private func bytes<T>(_ values: [T]) -> Data {
        return values.withUnsafeBytes { Data($0) }
    }
}

private func numbers<T: ExpressibleByIntegerLiteral>(_ data: Data, _ type: T.Type) -> [T] {
    var values = [T](repeating: 0, count: data.count / MemoryLayout<T>.size)
    _ = values.withUnsafeMutableBytes { data.copyBytes(to: $0) }
    return values
}

/// From raw values to what the network takes: raw × scale + offset, for each number of the last dimension.
public struct /*[class]*/Preparation {
    let scale: [Float]
    let offset: [Float]
    let features: Int
    let bgr: Bool
    let low: Float
    let span: Float
    let height: Int
    let width: Int
    let channels: Int
    let resize: String

    func prepared(_ raw: [Float]) -> [Float] {
        return raw.indices.map { n -> Float in
            let feature = n % features
            let from = bgr ? n - feature + features - 1 - feature : n
            let scaled = raw[from] * scale[feature % scale.count]
            return scaled + offset[feature % offset.count]
        }
    }
}

//[if classification]
/// A class and its score: /*[answers]*/.
public struct /*[class]*/Answer {
    public let label: String
    public let score: Float
}

//[end]
/// What an interpreter cannot do.
public enum /*[class]*/Failure: Error {
    case missing(String)
    case unreadable(String)
}

/// The network. Not for several threads at once.
public final class /*[class]*/ {
    private let path: String
    private let threads: Int
//[if stateless]
    private let interpreter: Interpreter
//[end]

    /// - Parameter path: of model.tflite.
    public init(path: String, threads: Int = 4) throws {
        self.path = path
        self.threads = threads
//[if stateless]
        interpreter = try /*[class]*/.interpreter(path, threads)
//[end]
    }

    /// Of the file in the app's bundle.
    public convenience init(threads: Int = 4) throws {
        try self.init(path: /*[class]*/.resource("model", "tflite"), threads: threads)
    }

    private static func resource(_ name: String, _ type: String) throws -> String {
        guard let path = Bundle.main.path(forResource: name, ofType: type) else {
            throw /*[class]*/Failure.missing("\(name).\(type)")
        }
        return path
    }

    private static func interpreter(_ path: String, _ threads: Int) throws -> Interpreter {
        var options = Interpreter.Options()
        options.threadCount = threads
        let interpreter = try Interpreter(modelPath: path, options: options)
        try interpreter.allocateTensors()
        return interpreter
    }

    /// Raw values of one sample by input name → outputs by name, as real numbers.
    public func run(_ raw: [String: [Float]]) throws -> [String: [Float]] {
//[if stateful]
        // Its file keeps a state between two inferences, which Interpreter cannot reset: each gets one of its own.
        let interpreter = try /*[class]*/.interpreter(path, threads)
//[end]
        for (n, input) in /*[class]*/.inputs.enumerated() {
            guard let values = raw[input.name] else { throw /*[class]*/Failure.missing(input.name) }
            let prepared = /*[class]*/.preparations[n].prepared(values)
            try interpreter.copy(input.stored(prepared), toInputAt: n)
        }
        try interpreter.invoke()
        var found: [String: [Float]] = [:]
        for (n, output) in /*[class]*/.outputs.enumerated() {
            found[output.name] = output.real(try interpreter.output(at: n).data)
        }
        return found
    }

    /// `run` for the first input, and of the first output.
    public func run(_ raw: [Float]) throws -> [Float] {
        let found = try run([/*[class]*/.inputs[0].name: raw])
        return found[/*[class]*/.outputs[0].name] ?? []
    }

//[if image]
    /// An image of any size, upright → raw values: resized as the network was trained, "/*[resize]*/".
    public func raw(of image: CGImage, input: Int = 0) throws -> [Float] {
        let to = /*[class]*/.preparations[input]
        let pixels = try colours(image, to.channels)
        return fitted(pixels, image.width, image.height, to).map { Float($0) / 255 * to.span + to.low }
    }

    /// Red, green and blue, or their luminance; what is transparent counts as black.
    private func colours(_ image: CGImage, _ channels: Int) throws -> [Int] {
        var bytes = [UInt8](repeating: 0, count: image.width * image.height * 4)
        let drawn = bytes.withUnsafeMutableBytes { buffer -> Bool in
            guard let context = CGContext(
                data: buffer.baseAddress, width: image.width, height: image.height, bitsPerComponent: 8,
                bytesPerRow: image.width * 4, space: CGColorSpaceCreateDeviceRGB(),
                bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
            else { return false }
            context.draw(image, in: CGRect(x: 0, y: 0, width: image.width, height: image.height))
            return true
        }
        guard drawn else { throw /*[class]*/Failure.unreadable("the image") }
        var values: [Int] = []
        values.reserveCapacity(image.width * image.height * channels)
        for n in 0..<image.width * image.height {
            let red = Int(bytes[4 * n])
            let green = Int(bytes[4 * n + 1])
            let blue = Int(bytes[4 * n + 2])
            if channels == 1 {
                values.append((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16)
            } else {
                values.append(contentsOf: [red, green, blue])
            }
        }
        return values
    }

    private func fitted(_ pixels: [Int], _ width: Int, _ height: Int, _ to: /*[class]*/Preparation) -> [Int] {
        if to.resize == "pad" {
            let ratio = min(Double(to.width) / Double(width), Double(to.height) / Double(height))
            let inner = max(1, Int((Double(width) * ratio).rounded(.toNearestOrEven)))
            let high = max(1, Int((Double(height) * ratio).rounded(.toNearestOrEven)))
            let small = resized(
                pixels, width, height, to.channels, 0, 0, Float(width), Float(height), inner, high)
            let left = (to.width - inner) / 2
            let top = (to.height - high) / 2
            var ground = [Int](repeating: 0, count: to.width * to.height * to.channels)
            for row in 0..<high {
                for n in 0..<inner * to.channels {
                    ground[((top + row) * to.width + left) * to.channels + n] = small[row * inner * to.channels + n]
                }
            }
            return ground
        }
        var wide = Double(width)
        var tall = Double(height)
        if to.resize == "crop" {
            let wanted = Double(to.width) / Double(to.height)
            if wide / tall > wanted {
                wide = wanted * tall
            } else if wide / tall < wanted {
                tall = wide / wanted
            }
        }
        let left = (Double(width) - wide) * 0.5
        let top = (Double(height) - tall) * 0.5
        return resized(
            pixels, width, height, to.channels, Float(left), Float(top), Float(left + wide), Float(top + tall),
            to.width, to.height)
    }

    /// Bilinear with antialiasing in 8 bits, as Pillow has it: along rows, then along columns, of a box in single
    /// precision. Pillow 13 begins with the columns where that is less work, by which a value may differ by 1.
    private func resized(
        _ pixels: [Int], _ width: Int, _ height: Int, _ channels: Int, _ left: Float, _ top: Float,
        _ right: Float, _ bottom: Float, _ toWidth: Int, _ toHeight: Int
    ) -> [Int] {
        let across = weights(width, left, right, toWidth)
        var rows = [Int](repeating: 0, count: height * toWidth * channels)
        for y in 0..<height {
            for x in 0..<toWidth {
                for c in 0..<channels {
                    let (first, factors) = across[x]
                    var sum = half
                    for k in factors.indices {
                        sum += pixels[(y * width + first + k) * channels + c] * factors[k]
                    }
                    rows[(y * toWidth + x) * channels + c] = min(max(sum >> bits, 0), 255)
                }
            }
        }
        let down = weights(height, top, bottom, toHeight)
        var made = [Int](repeating: 0, count: toHeight * toWidth * channels)
        for y in 0..<toHeight {
            let (first, factors) = down[y]
            for n in 0..<toWidth * channels {
                var sum = half
                for k in factors.indices {
                    sum += rows[(first + k) * toWidth * channels + n] * factors[k]
                }
                made[y * toWidth * channels + n] = min(max(sum >> bits, 0), 255)
            }
        }
        return made
    }

    /// For each of `count` pixels: the first of `size` that it is made of, and how much of each.
    private func weights(_ size: Int, _ from: Float, _ to: Float, _ count: Int) -> [(Int, [Int])] {
        let step = Double(to - from) / Double(count)
        let reach = max(step, 1)
        return (0..<count).map { n -> (Int, [Int]) in
            let center = Double(from) + (Double(n) + 0.5) * step
            let first = max(Int(center - reach + 0.5), 0)
            let last = min(Int(center + reach + 0.5), size)
            let parts = (first..<last).map { place -> Double in
                let apart: Double = (Double(place) - center + 0.5) * (1 / reach)
                return max(0, 1 - abs(apart))
            }
            let sum: Double = parts.reduce(0, +)
            let one = Double(1 << bits)
            return (first, parts.map { Int($0 / sum * one + 0.5) })
        }
    }

    private let bits = 22
    private let half = 1 << 21

//[end]
//[if classification]
    /// The `count` best classes, best first.
    public func classify(_ raw: [Float], count: Int = 3) throws -> [/*[class]*/Answer] {
        let scores = try run(raw)
        let order = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
        return order.prefix(count).map { /*[class]*/Answer(label: /*[class]*/.labels[$0], score: scores[$0]) }
    }

//[if image]
    public func classify(_ image: CGImage, count: Int = 3) throws -> [/*[class]*/Answer] {
        return try classify(raw(of: image), count: count)
    }

//[end]
//[end]
//[if reconstruction]
    /// What the network makes of raw values, in the range of what it takes.
    public func reconstruct(_ raw: [Float]) throws -> [Float] {
        return try run(raw)
    }

    /// The mean squared error of what it gives again.
    public func error(_ raw: [Float]) throws -> Double {
        let wanted = /*[class]*/.preparations[0].prepared(raw)
        let found = try run(raw)
        let sum = zip(found, wanted).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        return sum / Double(found.count)
    }

//[end]
//[if anomaly]
    /// Whether it is unlike what was normal in training: /*[normal]*/.
    public func isAnomaly(_ raw: [Float]) throws -> Bool {
        return try error(raw) > /*[class]*/.threshold
    }

//[end]
//[if forecasting]
    /// The values to come, in raw values.
    public func forecast(_ raw: [Float]) throws -> [Float] {
        let scale = /*[class]*/.forecastScale
        let offset = /*[class]*/.forecastOffset
        return try run(raw).enumerated().map { n, value -> Float in
            let feature = n % /*[class]*/.forecastFeatures
            return Float((Double(value) - offset[feature % offset.count]) / scale[feature % scale.count])
        }
    }

//[end]
//[if generation]
    /// Normal noise, cut off where the network's was; another at each call.
    public func noise() -> [Float] {
        let to = /*[class]*/.preparations[0]
        return (0..<(/*[class]*/.inputs[0].size)).map { _ -> Float in
            let radius = (-2 * log(1 - Double.random(in: 0..<1))).squareRoot()
            let normal = Float(radius * cos(2 * Double.pi * Double.random(in: 0..<1)))
            return min(max(normal, to.low), to.low + to.span)
        }
    }

//[if conditional]
    /// The noise with the class that is to be made.
    public func told(_ noise: [Float], _ label: String) throws -> [Float] {
        guard let place = /*[class]*/.conditions.firstIndex(of: label) else { throw /*[class]*/Failure.missing(label) }
        let first = noise.count - /*[class]*/.conditions.count
        return noise.indices.map { n -> Float in n < first ? noise[n] : (n == first + place ? 1 : 0) }
    }

//[end]
//[if picture]
    /// What it makes of noise, as red, green and blue of each pixel, or as its grey: 0 to 255.
    public func pixels(_ noise: [Float]) throws -> [UInt8] {
        let made = try run(noise)
        let channels = /*[class]*/.pictureChannels
        let scale = /*[class]*/.pictureScale
        let offset = /*[class]*/.pictureOffset
        return made.indices.map { n -> UInt8 in
            let c = n % channels
            let from = /*[class]*/.pictureBGR ? n - c + channels - 1 - c : n
            let raw = (Double(made[from]) - offset[c % offset.count]) / scale[c % scale.count]
            let value = (raw - /*[class]*/.pictureLow) / /*[class]*/.pictureSpan * 255
            return UInt8(min(max(value.rounded(.toNearestOrEven), 0), 255))
        }
    }

    public func generate(_ noise: [Float]) throws -> CGImage {
        let values = try pixels(noise)
        let channels = /*[class]*/.pictureChannels
        let width = /*[class]*/.pictureWidth
        let space = channels == 1 ? CGColorSpaceCreateDeviceGray() : CGColorSpaceCreateDeviceRGB()
        guard let provider = CGDataProvider(data: Data(values) as CFData),
            let image = CGImage(
                width: width, height: /*[class]*/.pictureHeight, bitsPerComponent: 8, bitsPerPixel: 8 * channels,
                bytesPerRow: width * channels, space: space, bitmapInfo: CGBitmapInfo(rawValue: 0),
                provider: provider, decode: nil, shouldInterpolate: false, intent: .defaultIntent)
        else { throw /*[class]*/Failure.unreadable("the picture") }
        return image
    }

//[end]
//[end]
    /// Runs the bundle's held-out samples: nil if all answers are as when the file was proven, else what is not.
    /// Call it once on each kind of phone that you support.
    public func selfCheck() throws -> String? {
        let path = try /*[class]*/.resource("samples", "bin")
        var values = numbers(try Data(contentsOf: URL(fileURLWithPath: path)), Float.self)[...]
        for sample in 0..</*[class]*/.samples {
            var raw: [String: [Float]] = [:]
            for input in /*[class]*/.inputs {
                raw[input.name] = Array(values.prefix(input.size))
                values = values.dropFirst(input.size)
            }
            let found = try run(raw)
            for (n, output) in /*[class]*/.outputs.enumerated() {
                for (place, value) in (found[output.name] ?? []).enumerated() {
                    guard let wanted = values.popFirst() else { throw /*[class]*/Failure.unreadable("samples.bin") }
                    guard abs(value - wanted) <= /*[class]*/.tolerances[n] else {
                        return "sample \(sample): \(output.name) \(place) is \(value), not \(wanted)"
                    }
                }
            }
        }
        return nil
    }

    static let samples = /*[samples]*/
/*[constants]*/
}
