"""All claims, in the order of the course."""

from __future__ import annotations

from collections.abc import Sequence

from popnet.course.base import Claim
from popnet.course.experiments import (
    augmenting,
    capacity,
    drift,
    dying,
    ensembles,
    evaluation,
    gradient_flow,
    patience,
    position,
    random_search,
    rates,
    regularising,
    scales,
    shrinking,
    vanishing,
)
from popnet.errors import InputError, closest

CLAIMS = (
    Claim(
        1, "sigmoid", "With sigmoid the gradient vanishes with depth",
        "Each sigmoid layer multiplies the gradient by a slope of at most 1/4, so the first layers of a deep net "
        "hardly learn.",
        "Hochreiter 1991; Bengio et al. 1994; Glorot and Bengio 2010",
        "The same with any data: before training it depends only on the activation and the scale of the weights.",
        vanishing.sigmoid, 2.0,
    ),
    Claim(
        2, "tanh", "tanh learns faster than sigmoid, and its gradient still vanishes",
        "tanh is symmetric about 0 and steeper than sigmoid, so nets learn faster with it; but it saturates, too.",
        "LeCun et al. 1998, Efficient BackProp; Glorot and Bengio 2010",
        "That tanh is faster holds widely. How much its gradient shrinks depends on the initial weights: little "
        "with those of Glorot and Bengio, who designed them against this, much with smaller ones.",
        vanishing.tanh, 1.0,
    ),
    Claim(
        3, "relu", "With ReLU the gradient does not vanish",
        "ReLU's slope is 1 for every active unit, so the gradient passes many layers.",
        "Glorot et al. 2011; He et al. 2015, arXiv:1502.01852",
        "The same with any data as long as the initial weights have He et al.'s scale; with others it vanishes or "
        "explodes.",
        vanishing.relu, 1.0,
    ),
    Claim(
        4, "dying", "ReLU units die at large learning rates; leaky ReLU, ELU and maxout units do not",
        "A ReLU unit that is pushed below 0 for every row has no gradient and never recovers.",
        "Maas et al. 2013; Clevert et al. 2016, arXiv:1511.07289; Goodfellow et al. 2013; Lu et al. 2019, "
        "arXiv:1903.06733",
        "The learning rate above which units die depends on the scale of the columns and on the optimizer: with Adam "
        "at usual rates, or with normalization, few do.",
        dying.dying, 1.0,
    ),
    Claim(
        5, "drift", "Layers' inputs drift while a net learns; batch normalization keeps them stable",
        "As the layers before it learn, the distribution of a layer's inputs shifts (internal covariate shift).",
        "Ioffe and Szegedy 2015, arXiv:1502.03167; disputed by Santurkar et al. 2018, arXiv:1805.11604",
        "The same with any data: batch normalization fixes the means by construction. It does not "
        "follow that this is why it helps.",
        drift.drift, 1.2,
    ),
    Claim(
        6, "gradient-flow", "Batch normalization improves the gradient's flow",
        "It makes gradients depend less on the weights' scale and on depth.",
        "Ioffe and Szegedy 2015, arXiv:1502.03167; Yang et al. 2019, arXiv:1902.08129",
        "The same with any data. With well-chosen initial weights and few layers there is little to improve.",
        gradient_flow.gradient_flow, 1.0,
    ),
    Claim(
        7, "learning-rates", "Batch normalization widens the range of learning rates that train",
        "Nets with batch normalization tolerate much larger learning rates, and also learn at smaller ones.",
        "Ioffe and Szegedy 2015, arXiv:1502.03167; Bjorck et al. 2018, arXiv:1806.02375",
        "Deep nets gain more than shallow ones.",
        rates.rates, 1.2,
    ),
    Claim(
        8, "initial-scale", "Batch normalization removes the dependence on the initial scale of the weights",
        "With it, a net learns well whatever the scale of its initial weights.",
        "Ioffe and Szegedy 2015, arXiv:1502.03167; van Laarhoven 2017, arXiv:1706.05350",
        "The speed of learning still depends on it: large initial weights need more epochs or a larger learning rate.",
        scales.scales, 1.2,
    ),
    Claim(
        9, "regularises", "Batch normalization regularises, so dropout adds less with it",
        "Each batch's statistics are noise, which regularises like dropout and reduces the need for it.",
        "Ioffe and Szegedy 2015, arXiv:1502.03167; Luo et al. 2019, arXiv:1809.00846",
        "It depends on the data and on the batch size: with large batches there is little noise. `popnet study` "
        "measures both and their interaction on your data.",
        regularising.regularising, 3.0,
    ),
    Claim(
        10, "norm-position", "Batch normalization belongs before the activation",
        "The paper normalizes what the activation takes; many put it after the activation.",
        "Ioffe and Szegedy 2015, arXiv:1502.03167; Mishkin et al. 2017, arXiv:1606.02228",
        "Differences are small and change sides with data and activation; try both.",
        position.position, 3.0,
    ),
    Claim(
        11, "capacity", "Capacity beyond the data over-fits",
        "A net with many more units than its rows need memorizes them: the gap between training and test "
        "error grows with the width and shrinks with the rows.",
        "Geman et al. 1992; disputed by Neyshabur et al. 2015, arXiv:1412.6614, and Belkin et al. 2019, "
        "arXiv:1812.11118",
        "With clean targets wide nets often do best; with noisy ones, and few rows, capacity harms. Look at the "
        "test error, not at the gap.",
        capacity.capacity, 3.0,
    ),
    Claim(
        12, "penalties", "L2 and L1 shrink the weights and the gap, and L1 makes many weights 0",
        "A penalty on the weights keeps a net simple; L1 selects among the weights, L2 shrinks all of them.",
        "Krogh and Hertz 1992; Tibshirani 1996; Ng 2004",
        "The best penalty depends on the number of rows and on the noise; with Adam, decoupled decay is used "
        "instead of L2.",
        shrinking.shrinking, 1.0,
    ),
    Claim(
        13, "early-stopping", "Early stopping helps, but stopping at the first rise is too early",
        "The validation loss goes up and down; waiting a few epochs finds a better one than stopping at the first "
        "rise.",
        "Prechelt 1998",
        "The noisier the curve (few validation rows, large rates, small batches), the more patience helps.",
        patience.patience, 1.2,
    ),
    Claim(
        14, "augmentation", "Augmentation helps most with little data, and harms where it changes the class",
        "Transformed images replace missing ones, as long as the transformation keeps the class.",
        "Simard et al. 2003; Shorten and Khoshgoftaar 2019",
        "Which transformations keep the class depends on the images; `popnet augment --check` finds out.",
        augmenting.augmenting, 6.0,
    ),
    Claim(
        15, "dropout-evaluation", "Dropout must be off at evaluation",
        "Dropout is noise for training; left on at evaluation, it makes predictions worse, and different at every "
        "call.",
        "Srivastava et al. 2014; Gal and Ghahramani 2016, arXiv:1506.02142",
        "The same with any data, the more so the larger the rate.",
        evaluation.evaluation, 1.0,
    ),
    Claim(
        16, "ensembles", "Ensembles have a lower error than their members, and larger ensembles a lower one",
        "Nets with different errors correct each other; they differ in their initial weights, or in hyper-parameters "
        "too.",
        "Hansen and Salamon 1990; Dietterich 2000; Wenzel et al. 2020, arXiv:2006.13570",
        "That an ensemble is better than one net holds widely. Averaging instead of voting, and "
        "different hyper-parameters instead of initial weights only, make small differences.",
        ensembles.ensembles, 2.0,
    ),
    Claim(
        17, "random-search", "Random search beats a grid of equally many trials",
        "Where few hyper-parameters matter, a grid wastes its trials on the others.",
        "Bergstra and Bengio 2012",
        "It depends on where the grid's few values happen to be; the more hyper-parameters and the fewer trials, "
        "the more a grid loses.",
        random_search.random_search, 6.0,
    ),
)  # fmt: skip


def chosen(only: Sequence[str]) -> list[Claim]:
    """Return the claims of these keys or numbers, in the order of the course; all for none.

    Raises:
        InputError: there is no such claim.
    """
    by_name = {name: c for c in CLAIMS for name in (c.key, str(c.number))}
    for name in only:
        if name not in by_name:
            keys = ", ".join(f"{c.number} {c.key}" for c in CLAIMS)
            raise InputError(
                f"there is no claim '{name}'.{closest(name, by_name)} There are {keys}."
            )
    wanted = {by_name[name].number for name in only}
    return [c for c in CLAIMS if not only or c.number in wanted]
