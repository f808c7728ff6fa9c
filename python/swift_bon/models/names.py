"""Names that a command line needs before anything is loaded."""

EMBEDDED_NAME = "smollm2-135m"
