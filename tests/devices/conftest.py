"""What tests of pages share."""

from browser import browser_tools, chromium, node_path, page

__all__ = ["browser_tools", "chromium", "node_path", "page"]
