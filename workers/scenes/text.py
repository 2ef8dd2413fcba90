"""The words side: a tokenizer with one token for every known word, and a small text encoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from workers.scenes.captions import vocabulary

TEXT_LENGTH: Final = 40
"""Tokens that the text encoder reads, the start and the end of the text included."""
TEXT_WIDTH: Final = 192

_START: Final = "<|startoftext|>"
_END: Final = "<|endoftext|>"
_WORD_END: Final = "</w>"
_LAYERS: Final = 3


def build_tokenizer() -> Any:
    """A tokenizer in CLIP's format: whole words where known, else pieces down to single bytes.

    Every text can be encoded, since all 256 byte values are tokens of their own.
    """
    words = vocabulary()
    merges: Any = _learn_merges([*words, ","])
    byte_symbols = _byte_symbols()
    symbols = [*byte_symbols, *(symbol + _WORD_END for symbol in byte_symbols)]
    symbols.extend(first + second for first, second in merges)
    vocab = {symbol: index for index, symbol in enumerate([*symbols, _START, _END])}
    return CLIPTokenizer(
        vocab=vocab,
        merges=merges,
        unk_token=_END,
        bos_token=_START,
        eos_token=_END,
        pad_token=_END,
        model_max_length=TEXT_LENGTH,
    )


def build_text_encoder(tokenizer: Any) -> Any:
    """An untrained text encoder for the tokenizer's vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=_LAYERS,
            num_attention_heads=6,
            max_position_embeddings=TEXT_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def encode_texts(tokenizer: Any, texts: Sequence[str]) -> Any:
    """Token numbers of shape (n, :data:`TEXT_LENGTH`), cut or padded exactly as pipelines do."""
    encoded = tokenizer(
        list(texts),
        padding="max_length",
        max_length=TEXT_LENGTH,
        truncation=True,
        return_tensors="pt",
    )
    return encoded.input_ids


def _learn_merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent first, until every word is one symbol."""
    spellings = [[*word[:-1], word[-1] + _WORD_END] for word in words]
    merges: list[tuple[str, str]] = []
    while any(len(spelling) > 1 for spelling in spellings):
        pairs = Counter(pair for spelling in spellings for pair in pairwise(spelling))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spellings = [_merge(spelling, best) for spelling in spellings]
    return merges


def _merge(spelling: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in spelling:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def _byte_symbols() -> list[str]:
    """The printable stand-ins that byte-level tokenizers use for the 256 byte values."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [value for value in range(256) if value not in printable]
    return [chr(value) for value in printable] + [chr(256 + i) for i in range(len(others))]
