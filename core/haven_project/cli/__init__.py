"""The `haven` command."""

from haven_project.cli.main import main

__all__ = ["main"]
