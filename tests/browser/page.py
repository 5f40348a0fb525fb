#!/usr/bin/env python3
"""Opens a report.html in a real browser (Debian's chromium, headless) and checks what a person would see.

usage: page.py REPORT.HTML [SCREENSHOTS_DIR]

In light and dark, at 360 and 1,280 pixels: no console message, every picture drawn, every mark with a tooltip of its
own, nothing wider than the window. With a second argument it keeps the screenshots, which is how docs/pictures are made.
"""
import os
import re
import subprocess
import sys
import tempfile

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr"]


def chromium(url, *flags):
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(["chromium", *FLAGS, f"--user-data-dir={profile}", *flags, url],
                              capture_output=True, text=True, timeout=120)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def check(condition, what):
    if not condition:
        sys.exit(f"page.py: {what}")


def main():
    path, keep = os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    size = os.path.getsize(path)
    check(size <= 500_000, f"{size} bytes are more than 500 KB")
    for theme, setting in (("light", 1), ("dark", 0)):
        for width in (360, 1280):
            # A screenshot window below 500 pixels is widened by Chromium: the page is framed instead.
            flags = [f"--blink-settings=preferredColorScheme={setting}", f"--window-size={max(width, 500)},1700"]
            with tempfile.TemporaryDirectory() as folder:
                frame = os.path.join(folder, "frame.html")
                with open(frame, "w") as file:
                    file.write(f'<!doctype html><body style="margin:0"><iframe style="border:0;width:{width}px;height:1700px"'
                               f' src="file://{path}"></iframe>')
                page = f"file://{path}" if width > 500 else f"file://{frame}"
                shot = os.path.join(keep or folder, f"report-{theme}-{width}.png")
                _, console = chromium(page, *flags, f"--screenshot={shot}")
            check(not console, f"{theme}, {width}: console says {console[:3]}")
            check(os.path.getsize(shot) > 20_000, f"{theme}, {width}: the screenshot is empty")
        dom, console = chromium(f"file://{path}", *flags, "--dump-dom")
        check(not console, f"{theme}: console says {console[:3]}")
        check('data-drawn="yes"' in dom, f"{theme}: the script did not come to its end")
        check(f'data-theme="{theme}"' in dom, f"{theme}: the page does not follow the theme")
        for picture in ("backlog", "capacity", "latency", "use-0"):
            drawn = re.search(rf'id="{picture}"[^>]*><div [^>]*class="uplot', dom)
            check(drawn, f"{theme}: the picture {picture} is not drawn")
        marks = re.findall(r"<button[^>]*class=\"mark[^>]*>", dom)
        tips = [mark for mark in marks if re.search(r'data-tip="[^"]{10,}"', mark) and "aria-label=" in mark]
        check(marks and len(tips) == len(marks), f"{theme}: {len(tips)} of {len(marks)} marks have a tooltip")
    print(f"page.py: ok, {size} bytes, {len(marks)} marks")


main()
