"""Do the pages tell the truth about what exists?"""

import os
import re

from source import Finding

_CODE = re.compile(r"`([^`\s]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# Made at run time: named, and rightly not there.
MADE_LATER = ("certs/dev", ".florin", ".build")


def check_paths(tree):
    """Every path named in ARCHITECTURE.md, and every link of every page."""
    page = "ARCHITECTURE.md"
    if not tree.exists(page):
        yield Finding(page, 1, "paths", "ARCHITECTURE.md is missing", "Write it: bird's eye, one payment, code map, invariants, non-goals.")
        return
    top = {name for name in os.listdir(tree.root) if os.path.isdir(tree.path(name))} | {"Sources", "Tests", "docs", "deploy", "proto", "scripts"}
    for number, line in enumerate(tree.text(page).split("\n"), 1):
        for name in _CODE.findall(line):
            if "/" not in name or name.split("/")[0] not in top or re.search(r"[<>*{}…]", name):
                continue
            if not tree.exists(name) and not name.startswith(MADE_LATER):
                yield Finding(page, number, "paths", f"{name} does not exist", "Correct the path, or remove the sentence.")
    for path in tree.files():
        if not path.endswith(".md"):
            continue
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            for link in _LINK.findall(line):
                if re.match(r"[a-z]+:", link):
                    continue
                target = os.path.normpath(os.path.join(os.path.dirname(path), link))
                if not tree.exists(target) and not target.startswith(MADE_LATER):
                    yield Finding(path, number, "paths", f"the link to {link} leads nowhere", "Correct the link, or remove it.")
