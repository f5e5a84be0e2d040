package org.tensorflow.lite;

import java.io.DataInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The methods of LiteRT's own that generated code calls; it answers what LiteRT was heard to answer to these bytes. */
public interface InterpreterApi extends AutoCloseable {
    class Options {
        public Options setNumThreads(int numThreads) {
            return this;
        }
    }

    static InterpreterApi create(ByteBuffer byteBuffer, Options options) {
        return new Heard(System.getProperty("heard"));
    }

    void runForMultipleInputsOutputs(Object[] inputs, Map<Integer, Object> outputs);

    @Override
    void close();

    class Heard implements InterpreterApi {
        private final Map<List<ByteBuffer>, List<byte[]>> answers = new HashMap<>();

        Heard(String file) {
            try (DataInputStream from = new DataInputStream(new FileInputStream(file))) {
                for (int left = from.readInt(); left > 0; left--) {
                    List<ByteBuffer> inputs = new ArrayList<>();
                    for (byte[] each : blocks(from)) {
                        inputs.add(ByteBuffer.wrap(each));
                    }
                    answers.put(inputs, blocks(from));
                }
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }

        private static List<byte[]> blocks(DataInputStream from) throws IOException {
            List<byte[]> found = new ArrayList<>();
            for (int left = from.readInt(); left > 0; left--) {
                byte[] block = new byte[from.readInt()];
                from.readFully(block);
                found.add(block);
            }
            return found;
        }

        @Override
        public void runForMultipleInputsOutputs(Object[] inputs, Map<Integer, Object> outputs) {
            List<ByteBuffer> given = new ArrayList<>();
            for (Object input : inputs) {
                ByteBuffer buffer = ((ByteBuffer) input).duplicate();
                if (!((ByteBuffer) input).isDirect() || buffer.position() != 0) {
                    throw new IllegalArgumentException("LiteRT wants a direct buffer, from its beginning");
                }
                given.add(buffer);
            }
            List<byte[]> found = answers.get(given);
            if (found == null) {
                throw new IllegalArgumentException("LiteRT was given other bytes");
            }
            for (int n = 0; n < found.size(); n++) {
                ((ByteBuffer) outputs.get(n)).put(found.get(n));
            }
        }

        @Override
        public void close() {}
    }
}
