import pytest

from models.terms import Representation, WeeklyHours, best_representation

LOOKS = (
    Representation(title="for all"),
    Representation(title="web", channels=("web",)),
    Representation(title="home", placements=("home-top",)),
    Representation(title="German", language="de"),
    Representation(title="Austrian", language="de-AT"),
    Representation(title="German home", language="de", placements=("home-top",)),
    Representation(title="Korean push", language="ko", channels=("push",)),
)


@pytest.mark.parametrize(
    ("placement", "channel", "language", "title"),
    [
        ("cart-side", "app", "fr", "for all"),
        ("cart-side", "web", "fr", "web"),
        ("home-top", "web", "fr", "home"),
        ("cart-side", "web", "de", "German"),
        ("cart-side", "web", "de-at", "Austrian"),
        ("home-top", "web", "de-CH", "German home"),
        ("home-top", "web", "ko", "home"),
        ("home-top", "push", "ko-KR", "Korean push"),
        ("home-top", "app", "den", "home"),
        ("cart-side", "", "", "for all"),
    ],
)
def test_the_representation_that_fits_best_is_taken(placement: str, channel: str, language: str, title: str) -> None:
    found = best_representation(LOOKS, placement, channel, language)
    assert found is not None
    assert LOOKS[found].title == title


def test_no_representation_may_fit() -> None:
    assert best_representation(LOOKS[3:5], "home-top", "web", "fr") is None
    assert best_representation((), "home-top", "web", "fr") is None


def test_hours_are_ranges_of_the_week_cut_where_it_ends() -> None:
    assert WeeklyHours((0, 6), 1380, 1500).minutes() == [(1380, 1500), (10_020, 10_080), (0, 60)]
    assert len(WeeklyHours().minutes()) == 7
