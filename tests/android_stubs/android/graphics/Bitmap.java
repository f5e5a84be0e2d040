package android.graphics;

/** Pixels as Android has them: alpha, red, green, blue from the highest byte on. */
public class Bitmap {
    public enum Config { ARGB_8888 }

    private final int[] colors;
    private final int width, height;

    private Bitmap(int[] colors, int width, int height) {
        this.colors = colors;
        this.width = width;
        this.height = height;
    }

    public static Bitmap createBitmap(int[] colors, int width, int height, Config config) {
        return new Bitmap(colors, width, height);
    }

    public int getWidth() {
        return width;
    }

    public int getHeight() {
        return height;
    }

    public void getPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height) {
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                pixels[offset + row * stride + column] = colors[(y + row) * this.width + x + column];
            }
        }
    }
}
