"""A peer of the search benchmark: KerasTuner's Hyperband over a Keras net (``pip install keras keras-tuner``).

Used as its guide says: the space of the other peers, early stopping, a tenth of the rows held out, the best trial's
best epoch kept. Keras runs on JAX, which popnet's environment has already and which compiles its steps.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np

EPOCHS, FACTOR, PATIENCE = 40, 3, 10


def hyperband(
    data: tuple[np.ndarray, ...], widths: tuple[int, ...], depths: tuple[int, ...],
    rates: tuple[float, float], decays: tuple[float, float], seed: int,
) -> np.ndarray:  # fmt: skip
    """Return probabilities of the test rows by the best net of a search.

    Args:
        data: columns and class numbers of the training rows, columns of the test rows, class numbers of these.
        widths, depths: of the nets.
        rates, decays: ranges of the learning rate and the weight decay.
        seed: of the split and the search.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras
    import keras_tuner
    from sklearn.model_selection import train_test_split

    x, y, X, _ = data
    a, v = train_test_split(np.arange(len(x)), test_size=0.1, random_state=seed, stratify=y)
    keras.utils.set_random_seed(seed)

    class Nets(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            width, dropout = hp.Choice("width", list(widths)), hp.Float("dropout", 0.0, 0.5)
            activation = hp.Choice("activation", ["relu", "elu", "tanh"])
            layers: list[Any] = [keras.Input((x.shape[1],))]
            for _ in range(hp.Int("depth", depths[0], depths[-1])):
                layers += [keras.layers.Dense(width), keras.layers.BatchNormalization()]
                layers += [keras.layers.Activation(activation), keras.layers.Dropout(dropout)]
            layers.append(keras.layers.Dense(int(y.max()) + 1, activation="softmax"))
            net = keras.Sequential(layers)
            net.compile(
                keras.optimizers.AdamW(
                    hp.Float("learning_rate", *rates, sampling="log"),
                    weight_decay=hp.Float("weight_decay", *decays, sampling="log"),
                ),
                "sparse_categorical_crossentropy",
            )
            return net

        def fit(self, hp: Any, model: Any, *args: Any, **options: Any) -> Any:
            size = hp.Choice("batch_size", [64, 128, 256])
            return model.fit(*args, batch_size=size, **options)

    with tempfile.TemporaryDirectory() as home:
        tuner = keras_tuner.Hyperband(
            Nets(), objective="val_loss", max_epochs=EPOCHS, factor=FACTOR, seed=seed, directory=home,
            overwrite=True,
        )  # fmt: skip
        tuner.search(
            x[a], y[a], validation_data=(x[v], y[v]), verbose=0,
            callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE)],
        )  # fmt: skip
        return np.asarray(tuner.get_best_models(1)[0].predict(X, batch_size=4096, verbose=0))
