"""Which augmentations keep an image's class: shown on a contact sheet, checked by twins."""
