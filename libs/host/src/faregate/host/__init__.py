"""All libraries of Faregate wired together, for hosts and applications."""

from faregate.host.container import FaregateContainer

__all__ = ["FaregateContainer"]
