"""The block of data for search engines cannot be left by what stands in it."""

from __future__ import annotations

import json
from dataclasses import replace

from feeds.pages.json_ld import describe_page
from feeds.pages.site import load_site
from tests.feed_samples import TENDER, make_config

ENDING = "Jalan</script><script>alert(1)</script><!-- & \u2028"


def test_no_text_ends_the_block_of_data() -> None:
    site = load_site(make_config(), sample=False)
    tender = replace(TENDER, category_detail=ENDING)
    told = describe_page(site, tender, ENDING, ENDING, "https://a.example/?x=</script>", "a.html", [(ENDING, ENDING)])
    assert not set("<>&\u2028\u2029") & set(told)
    read = json.loads(told)
    assert read["name"] == read["description"] == read["mainEntity"]["name"] == ENDING
