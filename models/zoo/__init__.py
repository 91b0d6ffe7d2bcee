"""DensePose networks of the densepose GStreamer plugin: definition, training, evaluation and export.

Every tool is a module: `python -m zoo.NAME --help`, run from the folder that holds this package.
"""
