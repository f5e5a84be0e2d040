package dlkit.model

import android.content.Context
import android.graphics.Bitmap
import java.io.Closeable
import java.io.FileInputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round
import org.tensorflow.lite.InterpreterApi

/** An input or output of the file: real number = scale × (stored number − zeroPoint); a scale of 0 is none. */
class End(val name: String, val dtype: String, val size: Int, val scale: Float, val zeroPoint: Int) {
    private val bytes = size * when (dtype) { "int8", "uint8" -> 1; "int16" -> 2; "int64" -> 8; else -> 4 }

    fun buffer(): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())

    /** Rounded half to even and cut off at the ends of the integers, where it is quantized. */
    fun stored(real: FloatArray): ByteBuffer {
        require(real.size == size) { "$name takes $size numbers, not ${real.size}" }
        val to = buffer()
        for (x in real) {
            when (dtype) {
                "int8" -> to.put(integer(x, -128, 127).toByte())
                "uint8" -> to.put(integer(x, 0, 255).toByte())
                "int16" -> to.putShort(integer(x, -32768, 32767).toShort())
                "int32" -> to.putInt(x.toInt())
                "int64" -> to.putLong(x.toLong())
                else -> to.putFloat(x)
            }
        }
        to.rewind()
        return to
    }

    fun real(from: ByteBuffer): FloatArray {
        from.rewind()
        return FloatArray(size) {
            when (dtype) {
                "int8" -> (from.get().toInt() - zeroPoint) * scale
                "uint8" -> ((from.get().toInt() and 255) - zeroPoint) * scale
                "int16" -> (from.getShort().toInt() - zeroPoint) * scale
                "int32" -> from.getInt().toFloat()
                "int64" -> from.getLong().toFloat()
                else -> from.getFloat()
            }
        }
    }

    private fun integer(real: Float, low: Int, high: Int): Int {
        require(!real.isNaN()) { "$name takes no NaN" }
        return min(max(round(real / scale) + zeroPoint, low.toFloat()), high.toFloat()).toInt()
    }
}

/** From raw values to what the network takes: raw × scale + offset, for each number of the last dimension. */
class Preparation(
    val scale: FloatArray,
    val offset: FloatArray,
    val features: Int,
    val bgr: Boolean,
    val low: Float,
    val span: Float,
    val height: Int,
    val width: Int,
    val channels: Int,
    val resize: String
) {
    fun prepared(raw: FloatArray): FloatArray = FloatArray(raw.size) { n ->
        val feature = n % features
        val from = if (bgr) n - feature + features - 1 - feature else n
        raw[from] * scale[feature % scale.size] + offset[feature % offset.size]
    }
}

//[if classification]
/** A class and its score: /*[answers]*/. */
class Answer(val label: String, val score: Float)

//[end]
/** The network. Not for several threads at once; close it when it is no longer needed. */
class /*[class]*/(private val model: ByteBuffer, private val threads: Int = 4) : Closeable {
//[if stateful]
    // Its file keeps a state between two inferences, which InterpreterApi cannot reset: each gets an interpreter.
    private fun invoke(inputs: Array<Any>, outputs: Map<Int, Any>) {
        val interpreter = interpreter()
        try {
            interpreter.runForMultipleInputsOutputs(inputs, outputs)
        } finally {
            interpreter.close()
        }
    }

    override fun close() = Unit
//[end]
//[if stateless]
    private val interpreter = interpreter()

    private fun invoke(inputs: Array<Any>, outputs: Map<Int, Any>) =
        interpreter.runForMultipleInputsOutputs(inputs, outputs)

    override fun close() = interpreter.close()
//[end]

    private fun interpreter(): InterpreterApi =
        InterpreterApi.create(model, InterpreterApi.Options().setNumThreads(threads))

    /** Raw values of one sample by input name → outputs by name, as real numbers. */
    fun run(raw: Map<String, FloatArray>): Map<String, FloatArray> {
        val given = INPUTS.mapIndexed { n, input -> input.stored(PREPARATIONS[n].prepared(raw.getValue(input.name))) }
        val found = OUTPUTS.map { it.buffer() }
        invoke(Array(given.size) { given[it] }, found.indices.associate { it to found[it] as Any })
        return OUTPUTS.indices.associate { OUTPUTS[it].name to OUTPUTS[it].real(found[it]) }
    }

    /** `run` for the first input, and of the first output. */
    fun run(raw: FloatArray): FloatArray = run(mapOf(INPUTS[0].name to raw)).getValue(OUTPUTS[0].name)

//[if image]
    /** A bitmap of any size, upright → raw values: resized as the network was trained, "/*[resize]*/". */
    fun rawOf(bitmap: Bitmap, input: Int = 0): FloatArray {
        val to = PREPARATIONS[input]
        val pixels = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        val fitted = fitted(colours(pixels, to.channels), bitmap.width, bitmap.height, to)
        return FloatArray(fitted.size) { fitted[it] / 255f * to.span + to.low }
    }

    /** Red, green and blue, or their luminance; what is transparent counts as black. */
    private fun colours(pixels: IntArray, channels: Int): IntArray {
        val values = IntArray(pixels.size * channels)
        for ((n, pixel) in pixels.withIndex()) {
            val alpha = pixel ushr 24
            val red = overBlack(pixel shr 16 and 255, alpha)
            val green = overBlack(pixel shr 8 and 255, alpha)
            val blue = overBlack(pixel and 255, alpha)
            if (channels == 1) {
                values[n] = red * 19595 + green * 38470 + blue * 7471 + 32768 shr 16
            } else {
                values[3 * n] = red
                values[3 * n + 1] = green
                values[3 * n + 2] = blue
            }
        }
        return values
    }

    private fun overBlack(value: Int, alpha: Int): Int {
        val product = value * alpha + 128
        return (product shr 8) + product shr 8
    }

    private fun fitted(pixels: IntArray, width: Int, height: Int, to: Preparation): IntArray {
        if (to.resize == "pad") {
            val ratio = min(to.width.toDouble() / width, to.height.toDouble() / height)
            val inner = max(1, round(width * ratio).toInt())
            val high = max(1, round(height * ratio).toInt())
            val small = resized(
                pixels, width, height, to.channels, 0f, 0f, width.toFloat(), height.toFloat(), inner, high
            )
            val left = (to.width - inner) / 2
            val top = (to.height - high) / 2
            val ground = IntArray(to.width * to.height * to.channels)
            for (row in 0 until high) {
                small.copyInto(
                    ground, ((top + row) * to.width + left) * to.channels, row * inner * to.channels,
                    (row + 1) * inner * to.channels
                )
            }
            return ground
        }
        var wide = width.toDouble()
        var tall = height.toDouble()
        if (to.resize == "crop") {
            val wanted = to.width.toDouble() / to.height
            if (wide / tall > wanted) wide = wanted * tall else if (wide / tall < wanted) tall = wide / wanted
        }
        val left = (width - wide) * 0.5
        val top = (height - tall) * 0.5
        val right = (left + wide).toFloat()
        val bottom = (top + tall).toFloat()
        return resized(
            pixels, width, height, to.channels, left.toFloat(), top.toFloat(), right, bottom, to.width, to.height
        )
    }

    /**
     * Bilinear with antialiasing in 8 bits, as Pillow has it: along rows, then along columns, of a box in single
     * precision. Pillow 13 begins with the columns where that is less work, by which a value may differ by 1.
     */
    private fun resized(
        pixels: IntArray, width: Int, height: Int, channels: Int, left: Float, top: Float, right: Float,
        bottom: Float, toWidth: Int, toHeight: Int
    ): IntArray {
        val across = weights(width, left, right, toWidth)
        val rows = IntArray(height * toWidth * channels)
        for (y in 0 until height) for (x in 0 until toWidth) for (c in 0 until channels) {
            val (first, factors) = across[x]
            var sum = HALF
            for (k in factors.indices) sum += pixels[(y * width + first + k) * channels + c] * factors[k]
            rows[(y * toWidth + x) * channels + c] = min(max(sum shr BITS, 0), 255)
        }
        val down = weights(height, top, bottom, toHeight)
        val made = IntArray(toHeight * toWidth * channels)
        for (y in 0 until toHeight) for (n in 0 until toWidth * channels) {
            val (first, factors) = down[y]
            var sum = HALF
            for (k in factors.indices) sum += rows[(first + k) * toWidth * channels + n] * factors[k]
            made[y * toWidth * channels + n] = min(max(sum shr BITS, 0), 255)
        }
        return made
    }

    /** For each of `count` pixels: the first of `size` that it is made of, and how much of each. */
    private fun weights(size: Int, from: Float, to: Float, count: Int): List<Pair<Int, IntArray>> {
        val step = (to - from).toDouble() / count
        val reach = max(step, 1.0)
        return List(count) { n ->
            val center = from + (n + 0.5) * step
            val first = max((center - reach + 0.5).toInt(), 0)
            val last = min((center + reach + 0.5).toInt(), size)
            val parts = DoubleArray(last - first) { max(0.0, 1.0 - abs((it + first - center + 0.5) * (1.0 / reach))) }
            val sum = parts.sum()
            Pair(first, IntArray(parts.size) { (parts[it] / sum * (1 shl BITS) + 0.5).toInt() })
        }
    }

//[end]
//[if classification]
    /** The `count` best classes, best first. */
    fun classify(raw: FloatArray, count: Int = 3): List<Answer> {
        val scores = run(raw)
        return scores.indices.sortedByDescending { scores[it] }.take(count).map { Answer(LABELS[it], scores[it]) }
    }

//[if image]
    fun classify(bitmap: Bitmap, count: Int = 3): List<Answer> = classify(rawOf(bitmap), count)

//[end]
//[end]
//[if reconstruction]
    /** What the network makes of raw values, in the range of what it takes. */
    fun reconstruct(raw: FloatArray): FloatArray = run(raw)

    /** The mean squared error of what it gives again. */
    fun error(raw: FloatArray): Double {
        val wanted = PREPARATIONS[0].prepared(raw)
        val found = run(raw)
        var sum = 0.0
        for (n in found.indices) sum += (found[n] - wanted[n]).toDouble() * (found[n] - wanted[n])
        return sum / found.size
    }

//[end]
//[if anomaly]
    /** Whether it is unlike what was normal in training: /*[normal]*/. */
    fun isAnomaly(raw: FloatArray): Boolean = error(raw) > THRESHOLD

//[end]
//[if forecasting]
    /** The values to come, in raw values. */
    fun forecast(raw: FloatArray): FloatArray {
        val found = run(raw)
        return FloatArray(found.size) { n ->
            val feature = n % FORECAST_FEATURES
            val offset = FORECAST_OFFSET[feature % FORECAST_OFFSET.size]
            ((found[n] - offset) / FORECAST_SCALE[feature % FORECAST_SCALE.size]).toFloat()
        }
    }

//[end]
//[if generation]
    /** Normal noise, cut off where the network's was; another for each state of `random`. */
    fun noise(random: java.util.Random): FloatArray {
        val to = PREPARATIONS[0]
        return FloatArray(INPUTS[0].size) { min(max(random.nextGaussian().toFloat(), to.low), to.low + to.span) }
    }

//[if conditional]
    /** The noise with the class that is to be made. */
    fun told(noise: FloatArray, label: String): FloatArray {
        val place = CONDITIONS.indexOf(label)
        require(place >= 0) { "no class $label; there are ${CONDITIONS.joinToString()}" }
        val first = noise.size - CONDITIONS.size
        return FloatArray(noise.size) { if (it < first) noise[it] else if (it == first + place) 1f else 0f }
    }

//[end]
//[if picture]
    /** What it makes of noise, as red, green and blue of each pixel, or as its grey: 0 to 255. */
    fun pixels(noise: FloatArray): IntArray {
        val made = run(noise)
        return IntArray(made.size) { n ->
            val c = n % PICTURE_CHANNELS
            val from = if (PICTURE_BGR) n - c + PICTURE_CHANNELS - 1 - c else n
            val raw = (made[from] - PICTURE_OFFSET[c % PICTURE_OFFSET.size]) / PICTURE_SCALE[c % PICTURE_SCALE.size]
            min(max(round((raw - PICTURE_LOW) / PICTURE_SPAN * 255.0), 0.0), 255.0).toInt()
        }
    }

    fun generate(noise: FloatArray): Bitmap {
        val values = pixels(noise)
        val colours = IntArray(PICTURE_WIDTH * PICTURE_HEIGHT) { n ->
            val at = { c: Int -> values[n * PICTURE_CHANNELS + min(c, PICTURE_CHANNELS - 1)] }
            (255 shl 24) or (at(0) shl 16) or (at(1) shl 8) or at(2)
        }
        return Bitmap.createBitmap(colours, PICTURE_WIDTH, PICTURE_HEIGHT, Bitmap.Config.ARGB_8888)
    }

//[end]
//[end]
    /**
     * Runs the bundle's held-out samples: null if all answers are as when the file was proven, else what is not.
     * Call it once on each kind of phone that you support.
     */
    fun selfCheck(samples: ByteBuffer): String? {
        val from = samples.order(ByteOrder.LITTLE_ENDIAN)
        from.rewind()
        for (sample in 0 until SAMPLES) {
            val raw = INPUTS.associate { it.name to FloatArray(it.size) { from.getFloat() } }
            val found = run(raw)
            for ((n, output) in OUTPUTS.withIndex()) {
                val values = found.getValue(output.name)
                for (place in values.indices) {
                    val wanted = from.getFloat()
                    if (!(abs(values[place] - wanted) <= TOLERANCES[n])) {
                        return "sample $sample: ${output.name} $place is ${values[place]}, not $wanted"
                    }
                }
            }
        }
        return null
    }

    companion object {
        const val MODEL = "model.tflite"
        const val SAMPLE_FILE = "samples.bin"
        const val SAMPLES = /*[samples]*/
//[if image]
        private const val BITS = 22
        private const val HALF = 1 shl BITS - 1
//[end]
/*[constants]*/
        /** Of the file in the assets, where it must not be compressed. */
        fun fromAssets(context: Context, threads: Int = 4): /*[class]*/ =
            context.assets.openFd(MODEL).use { file ->
                FileInputStream(file.fileDescriptor).use { stream ->
                    val mapped = stream.channel.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
                    /*[class]*/(mapped, threads)
                }
            }

        /** For `selfCheck`: of the file in the assets. */
        fun samples(context: Context): ByteBuffer =
            context.assets.open(SAMPLE_FILE).use { ByteBuffer.wrap(it.readBytes()) }
    }
}
