"""Seeds of random streams, and draws that only an identity decides."""

import hashlib


def stream_seed(*key: object) -> int:
    """A 63-bit seed from any key, the same on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def split_rank(group: str) -> float:
    """From 0 to 1, by its name alone: a group is held out if it ranks below the share held out."""
    return stream_seed("split", group) / 2**63
