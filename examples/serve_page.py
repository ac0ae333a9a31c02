"""Take the picture of a server's page that the guide shows: the form, and the answer to the row that it begins with.

    python examples/serve_page.py MODEL [OUT.png]

MODEL is a model folder or an exported file; Chromium takes the picture.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from popnet.serve import page
from popnet.serve.limits import Limits
from popnet.serve.server import make_server

SIZE = "760,1010"
"""Of the picture, in pixels: the form of 14 columns in two columns of fields, and two classes."""
PRESS = {"page.js": "\nform.requestSubmit();\n"}
"""Presses the button: Chromium's command takes pictures only of pages as they come."""


def main() -> None:
    """Serve the model, and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("docs/serve.png"))
    given = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")  # fmt: skip
    if browser is None:
        sys.exit("Chromium is not installed.")
    plain = page.file
    page.file = lambda name: plain(name) + PRESS.get(name, "")
    ready, address = threading.Event(), list[str]()
    server, listening = make_server(
        given.model, "127.0.0.1", 0, Limits(), lambda at: (address.append(at), ready.set())[1]
    )
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        ready.wait(60)
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={SIZE}",
            "--virtual-time-budget=10000", f"--screenshot={given.out.resolve()}", address[0],
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
    finally:
        server.end()
        thread.join()
    print(given.out)


if __name__ == "__main__":
    main()
