"""Arrangement and colours of the screen, in textual's own style language."""

from typing import Final

STYLE: Final = """
Screen { layout: vertical; }
#header { height: 4; text-wrap: nowrap; text-overflow: ellipsis; }
MarketList { height: 3fr; min-height: 4; scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: scroll; }
MarketList:focus { background: $surface; }
#strip { height: 1; text-style: bold; text-wrap: nowrap; }
#panels { height: 2fr; min-height: 6; }
.panel { height: 1fr; scrollbar-size-vertical: 1; border-top: solid $primary; }
.panel:focus { border-top: heavy $accent; }
#keys { height: 1; text-style: reverse; text-wrap: nowrap; }
.wide #strip { display: none; }
.wide #panels { layout: grid; grid-size: 3 3; grid-gutter: 0 1; height: 7fr; }
.wide #log { column-span: 2; }
.wide MarketList { height: 5fr; }
ModalScreen { align: center middle; }
.dialog { width: 78; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; border: heavy $accent;
          background: $panel; }
"""
