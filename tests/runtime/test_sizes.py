import pytest

from popnet.errors import InputError
from popnet.runtime.sizes import bytes_of, words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("500MB", 5e8), ("4GB", 4e9), ("1.5 GiB", 1.5 * 2**30), ("8g", 8e9), ("64 kib", 65536),
        ("2Tb", 2e12),
    ],
)  # fmt: skip
def test_sizes_as_people_write_them(text, count):
    assert bytes_of(text) == count


@pytest.mark.parametrize("text", ["", "4", "GB", "-1GB", "4XB", "four GB", "nan", "1e9GB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InputError, match="500MB"):
        bytes_of(text)


def test_sizes_for_people():
    assert words(640e6) == "640 MB"
    assert words(1.5e9) == "1.5 GB"
