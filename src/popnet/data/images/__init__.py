"""Images from folders, IDX and .npz files, tables of paths and arrays, as one array of bytes.

``read.py`` is the way in. Pillow is imported in this package only.
"""
