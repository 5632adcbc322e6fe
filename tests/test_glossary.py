"""The terms of the trade: found as words, explained once, in both languages."""

from __future__ import annotations

import pytest
from hypothesis import given

from feeds.words.glossary import _TERMS, explain
from feeds.words.sentences import list_facts
from feeds.words.wording import Wording
from tests.feed_samples import TENDER, WIB, hostile_texts


def terms(*texts: str) -> list[str]:
    return [term for term, _ in explain(texts, "id")]


def test_a_method_is_explained_part_by_part() -> None:
    text = "Tender - Pascakualifikasi Satu File - Harga Terendah Sistem Gugur"
    assert terms(text) == ["Tender", "Pascakualifikasi", "Satu file", "Harga terendah", "Sistem gugur"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Tender Cepat", ["Tender cepat"]),
        ("tender ulang", ["Tender ulang"]),
        ("Non Tender", ["Non tender"]),
        ("MASA SANGGAH BANDING", ["Masa sanggah"]),
        ("Sanggah Banding", ["Sanggah banding"]),
        ("K/L/PD", ["K/L/PD"]),
        ("e-purchasing", ["E-purchasing"]),
        ("E Purchasing", ["E-purchasing"]),
        ("HPS (harga perkiraan sendiri)", ["HPS"]),
        ("Evaluasi Kualitas dan Biaya", ["Evaluasi", "Kualitas dan biaya"]),
        ("Satuan kerja", ["Satuan kerja"]),
        ("tenderloin, HPSS, sbu2", []),
        ("", []),
    ],
)
def test_words_are_compared_whole_and_the_longest_counts(text: str, found: list[str]) -> None:
    assert terms(text) == found


def test_a_term_is_explained_once_whatever_it_is_called() -> None:
    assert terms("HPS", "Harga perkiraan sendiri", "hps", "Pagu") == ["HPS", "Pagu"]


def test_every_term_has_one_plain_sentence_in_each_language() -> None:
    for term in _TERMS:
        for language in ("id", "en"):
            ((shown, sentence),) = explain([term.names[0]], language)
            assert shown[0].isupper()
            assert sentence[0].isupper() or not sentence[0].isalpha()
            assert sentence.endswith(".")
            assert sentence.count(".") == 1, sentence
            assert len(sentence.split()) <= 30, sentence


def test_no_name_means_two_things() -> None:
    names = [name.casefold() for term in _TERMS for name in term.names]
    assert len(names) == len(set(names))


def test_labels_of_both_languages_are_known() -> None:
    for language in ("id", "en"):
        labels = [label for label, _ in list_facts(TENDER, Wording(language, WIB))]
        assert len(explain(labels, language)) >= 3


@given(hostile_texts)
def test_any_text_can_be_asked_about(text: str) -> None:
    for term, sentence in explain([text], "en"):
        assert term
        assert sentence
