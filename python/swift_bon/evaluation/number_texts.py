"""Intervals and p-values as the terminal, the page and the tables of benchmarks write them."""

SMALLEST_P = 1e-4  # what is smaller is no number that 10,000 draws could tell


def interval_text(low: float, high: float, form: str = ".3f") -> str:
    """0.337 to 0.435; with the form "+.3f" +0.050 to +0.133."""
    return f"{low:{form}} to {high:{form}}"


def p_text(p_value: float, digits: int = 4) -> str:
    """0.0002 or < 0.0001"""
    return f"{p_value:.{digits}f}" if p_value >= SMALLEST_P else f"< {SMALLEST_P:.4f}"


def p_relation(p_value: float, digits: int = 4) -> str:
    """p = 0.0002 or p < 0.0001"""
    text = p_text(p_value, digits)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
