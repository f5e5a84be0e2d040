package android.content;

import android.content.res.AssetManager;

/** Stands in for Android's own, so that generated code can be compiled without it. */
public abstract class Context {
    public abstract AssetManager getAssets();
}
