"""What pages say of the values that their forms were opened over."""

from __future__ import annotations

import re


def read_opened(page: str) -> str:
    """Of the page's first form that says so."""
    return re.findall(r'name="opened" value="(\w*)"', page)[0]
