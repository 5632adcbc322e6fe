"""The tests; road.py, news_road.py, pages.py and feed_samples.py hold what several of them share."""

import pytest

pytest.register_assert_rewrite("tests.road", "tests.news_road")
