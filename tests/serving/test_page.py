"""The web page fits a phone."""


def test_the_page_is_no_wider_than_a_phone(root, in_browser):
    assert in_browser([root / "serving" / "page.html"], "document.documentElement.scrollWidth") == [390]
