"""Whether the hub can be asked, before its client tries for half a minute."""

import ssl
import urllib.error
import urllib.request

from huggingface_hub import constants

SECONDS = 3.0


def why_unreachable() -> str:
    """Why the hub cannot be asked; nothing where it can be, or may be."""
    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=SECONDS).close()
    except urllib.error.HTTPError:
        return ""  # it has answered
    except urllib.error.URLError as error:
        if isinstance(error.reason, OSError) and not isinstance(error.reason, ssl.SSLError):
            return f"{constants.ENDPOINT} does not answer: {error.reason}"
    except OSError as error:
        return f"{constants.ENDPOINT} does not answer: {error}"
    return ""


def not_found(name: str, what: str, reason: str, known: str = "") -> FileNotFoundError:
    """What to say of a name that is no folder.

    Args:
        what: an error calls it.
        reason: why the hub was not asked.
        known: names that would do, too, in words.
    """
    return FileNotFoundError(
        f"{what} is {name!r}: there is no such folder, and the hub was not asked ({reason}); "
        f"expected {known}a folder, or the hub id, such as 'org/name', of what can be fetched or "
        "is in the cache"
    )
