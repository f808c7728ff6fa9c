"""What answers to a click or a key does what it says, one part of the page after the other."""

from collections.abc import Iterator

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

Faults = Iterator[str]


def behaviour_faults(window: WebDriver) -> Faults:
    """Of every control that the page has."""
    yield from _switch(window)
    yield from _tokens(window)
    yield from _more(window)
    if not all_of(window, ".browser.single"):
        for check in (_rows, _curves, _entries, _filters, _search, _pager, _steps, _keys, _address):
            yield from check(window)


def one(window: WebDriver, selector: str) -> WebElement:
    return window.find_element(By.CSS_SELECTOR, selector)


def all_of(window: WebDriver, selector: str) -> list[WebElement]:
    return window.find_elements(By.CSS_SELECTOR, selector)


def seen(window: WebDriver, selector: str) -> list[WebElement]:
    return [node for node in all_of(window, selector) if node.is_displayed()]


def press(window: WebDriver, node: WebElement) -> None:
    window.execute_script("arguments[0].scrollIntoView({block: 'center'})", node)
    node.click()


def rest_pointer(window: WebDriver) -> None:
    """In the corner, where nothing answers to it, whatever scrolls past."""
    corner = ActionBuilder(window, duration=0)
    corner.pointer_action.move_to_location(1, 1)
    corner.perform()


def opened(window: WebDriver) -> str:
    return one(window, "#question h3").text


def numbers_of_list(window: WebDriver) -> str:
    return one(window, "#page-range").text


def _switch(window: WebDriver) -> Faults:
    """Each choice colours tokens in its own way, and shows its own legend."""
    if not all_of(window, ".token"):
        return
    colours = set()
    script = (
        "return [...document.querySelectorAll('.token')].map(t => getComputedStyle(t).background)"
    )
    for choice in all_of(window, "#colour-switch input"):
        press(window, choice)
        name = choice.get_attribute("value")
        if one(window, "#part-questions").get_attribute("data-colour") != name:
            yield f"the switch of colours does not go to {name}"
        colours.add(tuple(window.execute_script(script)))
        if [node.get_attribute("data-for") for node in seen(window, ".legend")] != [name] * (
            name != "none"
        ):
            yield f"the legend beside {name} is not its own"
    if len(colours) != 4:
        yield "two choices of the switch look the same"
    press(window, all_of(window, "#colour-switch input")[0])


def _tokens(window: WebDriver) -> Faults:
    """A click shows a token's numbers, arrows go to the next, Escape puts them away."""
    for box in all_of(window, ".tokens"):
        spans = box.find_elements(By.CSS_SELECTOR, ".token:not(.empty)")
        hint = one(window, "#hint")
        if len(spans) < 2:
            continue
        press(window, spans[0])
        name = box.get_attribute("aria-label")
        if not hint.text.startswith("token 1 of") or "reward" not in hint.text:
            yield f"a click on the first token of the {name} shows {hint.text!r}"
        window.execute_script("arguments[0].focus({preventScroll: true})", box)
        box.send_keys(Keys.ARROW_RIGHT)
        if not hint.text.startswith("token 2 of"):
            yield f"the right arrow shows {hint.text!r} in the {name}"
        box.send_keys(Keys.ESCAPE)
        if hint.is_displayed():
            yield f"Escape does not put away the numbers of the {name}"


def _more(window: WebDriver) -> Faults:
    """Draws the rest of a long text, and goes."""
    for button in all_of(window, ".more"):
        card = button.find_element(By.XPATH, "./..")
        before = len(card.find_elements(By.CSS_SELECTOR, ".token"))
        press(window, button)
        after = len(card.find_elements(By.CSS_SELECTOR, ".token"))
        if not after > before or card.find_elements(By.CSS_SELECTOR, ".more"):
            yield f"'show all' leaves {after} tokens of {before}"


def _rows(window: WebDriver) -> Faults:
    """Each row that the keyboard reaches brings out the curve of its method."""
    rest_pointer(window)
    for row in all_of(window, "tr[data-method][tabindex]"):
        number = row.get_attribute("data-method")
        window.execute_script("arguments[0].focus()", row)
        lit = {node.get_attribute("data-method") for node in all_of(window, ".lit")}
        if lit != {number} or not all_of(window, "svg.curves.has-lit"):
            yield f"row {number} brings out {sorted(lit)}"
        window.execute_script("arguments[0].blur()", row)
        if all_of(window, ".lit, .has-lit"):
            yield f"row {number} stays brought out"


def _curves(window: WebDriver) -> Faults:
    """The pointer on a curve brings out its row, and leaves it as it was."""
    for label in seen(window, ".curve:not(.plain) .name"):
        number = label.find_element(By.XPATH, "./..").get_attribute("data-method")
        window.execute_script("arguments[0].scrollIntoView({block: 'center'})", label)
        ActionChains(window, duration=0).move_to_element(label).perform()
        if not all_of(window, f'tr.lit[data-method="{number}"]'):
            yield f"the label of curve {number} does not bring out its row"
    rest_pointer(window)
    if all_of(window, ".lit"):
        yield "a curve stays brought out when the pointer has left"


def _entries(window: WebDriver) -> Faults:
    """Each line of the list opens its question, and only that is marked."""
    for number in range(len(all_of(window, ".entry"))):
        entry = all_of(window, ".entry")[number]
        name = entry.find_element(By.CSS_SELECTOR, ".entry-id").text
        press(window, entry)
        current = all_of(window, '.entry[aria-current="true"]')
        if opened(window) != name or current != [entry]:
            yield f"the line of {name} opens {opened(window)}"


def _filters(window: WebDriver) -> Faults:
    """Each filter leaves as many questions as it says."""
    names = [option.text for option in Select(one(window, "#filter")).options]
    for name in [*names, names[0]]:
        Select(one(window, "#filter")).select_by_visible_text(name)
        count = name.rpartition("(")[2].rstrip(")")
        expected = "none found" if count == "0" else f" of {count}"
        if not numbers_of_list(window).endswith(expected):
            yield f"the filter {name!r} lists {numbers_of_list(window)}"


def _search(window: WebDriver) -> Faults:
    field = one(window, "#search")
    for words, expected in (("question 17:", "1–1 of 1"), ("no such words", "none found")):
        field.clear()
        field.send_keys(words)
        if numbers_of_list(window) != expected:
            yield f"a search for {words!r} lists {numbers_of_list(window)}"
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.DELETE)
    if numbers_of_list(window) == "none found":
        yield "an empty search finds nothing"


def _pager(window: WebDriver) -> Faults:
    first, before, after = numbers_of_list(window), *all_of(window, "#pager button")
    window.execute_script("arguments[0].click()", all_of(window, ".entry")[0])
    if before.is_enabled() or not after.is_enabled():
        yield "the pager of the first page leads backwards, or not on"
        return
    press(window, after)
    if numbers_of_list(window) == first or after.is_enabled():
        yield f"the next page of the list is {numbers_of_list(window)}"
    press(window, before)
    if numbers_of_list(window) != first:
        yield f"the page before is {numbers_of_list(window)}"


def _steps(window: WebDriver) -> Faults:
    """Next and previous, to the ends of the list."""
    names = [node.text for node in all_of(window, ".entry-id")]
    press(window, all_of(window, ".entry")[0])
    for name in names[1:4]:
        press(window, all_of(window, ".steps button")[1])
        if opened(window) != name:
            yield f"next opens {opened(window)} in place of {name}"
    press(window, all_of(window, ".steps button")[0])
    if opened(window) != names[2]:
        yield f"previous opens {opened(window)} in place of {names[2]}"
    press(window, all_of(window, ".entry")[0])
    if all_of(window, ".steps button")[0].is_enabled():
        yield "there is a question before the first one"


def _keys(window: WebDriver) -> Faults:
    names = [node.text for node in all_of(window, ".entry-id")]
    press(window, all_of(window, ".entry")[0])
    for key, name in (("j", names[1]), ("j", names[2]), ("k", names[1])):
        one(window, "body").send_keys(key)
        if opened(window) != name:
            yield f"the key {key} opens {opened(window)} in place of {name}"
    one(window, "body").send_keys("/")
    if window.switch_to.active_element != one(window, "#search"):
        yield "the key / does not lead to the search"


def _address(window: WebDriver) -> Faults:
    """A question has an address, which opens it."""
    press(window, all_of(window, ".entry")[2])
    name, address = opened(window), window.current_url
    press(window, all_of(window, ".entry")[0])
    window.get("about:blank")
    window.get(address)
    if opened(window) != name:
        yield f"the address of {name} opens {opened(window)}"
