"""Opens the pages in headless Chromium: the console is silent, all controls work, no label is cut.

    PYTHONPATH=tests/helpers python tests/browser/check_pages.py [--runs runs] [--images DIR]

Where there is no Chromium it says so and ends well: Debian has it as chromium and chromium-driver.
With `--images` it also takes the pictures of the documentation, of real candidates of the embedded
model, which are sampled once (about two minutes) and kept in `--runs`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from behaviour import behaviour_faults
from chromium import console, find_chromium, show, start
from layout import layout_faults
from pages import made_pages, real_pages
from selenium.webdriver.remote.webdriver import WebDriver

WIDE, NARROW = 1280, 400
PICTURE = {"width": 1100, "height": 1180}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--images", type=Path)
    options = parser.parse_args(arguments)
    programs = find_chromium()
    if programs is None:
        print("no Chromium with its driver was found: the pages were not opened")
        return 0
    with start(*programs) as window, tempfile.TemporaryDirectory() as folder:
        faults = check_pages(window, Path(folder))
        if options.images is not None:
            take_pictures(window, options.runs, options.images)
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults" if faults else "both pages are as they should be")
    return int(bool(faults))


def check_pages(window: WebDriver, folder: Path) -> list[str]:
    faults = []
    for page in made_pages(folder):
        for width in (WIDE, NARROW):
            show(window, page, width=width)
            where = f"{page.name} at {width} px: "
            faults += [where + fault for fault in layout_faults(window)]
            faults += [where + fault for fault in behaviour_faults(window)]
            faults += [where + fault for fault in layout_faults(window)]
            faults += [f"{where}console: {message}" for message in console(window)]
    return list(dict.fromkeys(faults))


def take_pictures(window: WebDriver, runs: Path, images: Path) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    images.mkdir(parents=True, exist_ok=True)
    for name, page in zip(("report", "inspect"), real_pages(runs), strict=True):
        show(window, page, **PICTURE)
        window.save_screenshot(str(images / f"{name}.png"))


if __name__ == "__main__":
    sys.exit(main())
