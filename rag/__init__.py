"""Local question answering over a person's own documents, with verified citations."""

__version__ = "0.1.0"
