"""A trained network, fitted again so that it becomes smaller or loses less in integers; what comes out is Keras 3."""
