"""Icons: strokes of 24 by 24 that take the colour of the text."""

from __future__ import annotations

from markupsafe import Markup

_PATHS = {
    "wallet": "M3 7a2 2 0 0 1 2-2h13v4M3 7v10a2 2 0 0 0 2 2h15V9H5a2 2 0 0 1-2-2Zm13 7h.01",
    "list": "M4 6h16M4 12h16M4 18h10",
    "chart": "M4 20h16M7 16v-5M12 16V6M17 16v-8",
    "gauge": "M4 18a8 8 0 1 1 16 0M12 18l4-6",
    "key": "M14 10a4 4 0 1 0-3 3.9L13 16h2v2h2v2h3v-3l-6.1-6.1",
    "plus": "M12 5v14M5 12h14",
    "bell": "M6 16V11a6 6 0 1 1 12 0v5l2 2H4l2-2Zm4 4h4",
    "file": "M7 3h7l5 5v13H7a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2Zm7 0v5h5M9 13h6M9 17h6",
    "clock": "M12 7v5l3 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
    "cog": "M4 7h9m5 0h2M4 17h2m5 0h9M15 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM8 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z",
    "people": "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7 10a7 7 0 0 1 14 0M16 3.5a4 4 0 0 1 0 7M22 21a7 7 0 0 0-4-6.3",
    "tag": "M3 12V4h8l10 10-7 7L3 12Zm5-4h.01",
    "heart": "M3 12h4l2-5 4 10 2-5h6",
    "out": "M9 4H5v16h4M14 8l4 4-4 4M18 12H9",
    "warning": "M12 4 2.5 20h19L12 4Zm0 6v4m0 3h.01",
    "check": "m5 13 4 4L19 7",
    "info": "M12 11v6m0-9h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
    "search": "m20 20-4.5-4.5M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Z",
    "download": "M12 4v11m-4-4 4 4 4-4M5 20h14",
    "book": "M5 4h11a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3V4Zm0 13a3 3 0 0 1 3-3h11",
    "menu": "M4 7h16M4 12h16M4 17h16",
    "moon": "M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10Z",
    "down": "M12 5v13m-6-6 6 6 6-6",
    "up": "M7 17 17 7M9 7h8v8",
    "undo": "M8 5 4 9l4 4M4 9h10a5.5 5.5 0 0 1 0 11h-3",
    "cross": "m7 7 10 10M17 7 7 17",
    "snow": "M12 3v18M4.2 7.5l15.6 9M19.8 7.5l-15.6 9",
    "gift": "M4 11h16v9H4v-9Zm-1-4h18v4H3V7Zm9 0v13M12 7S10.500 3 8 3.500 8 7 12 7Zm0 0s1.500-4 4-3.500S16 7 12 7Z",
    "card": "M3 6h18v12H3V6Zm0 4h18",
    "store": "M4 10v10h16V10M2.5 10 5 4h14l2.5 6h-19ZM9 20v-6h6v6",
    "bank": "M3 10 12 4l9 6H3Zm2 3v5m5-5v5m4-5v5m5-5v5M3 20.5h18",
    "swap": "M4 8h15m-4-4 4 4-4 4M20 16H5m4-4-4 4 4 4",
    "print": "M7 8V3h10v5M7 17H4V8h16v9h-3M7 14h10v7H7v-7Z",
    "away": "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
}


def icon(name: str) -> Markup:
    """The icon ``name``; screen readers pass over it."""
    return Markup(
        '<svg class="icon" viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor"'
        ' stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="{}"/></svg>'
    ).format(_PATHS[name])
