"""Modules of commands, each imported when its command is called."""
