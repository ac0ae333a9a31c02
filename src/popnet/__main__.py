"""``python -m popnet``."""

from popnet.cli import main

main()
