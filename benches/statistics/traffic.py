"""Pools of values of real requests, and samples drawn from them.

    published traces ──▶ numbers: tokens of requests ──▶ a reference and a window, no request in both
                     └─▶ categories made of them      └─▶ changed: numbers moved, or a category that gains
"""
import json, pathlib

import numpy as np
import pandas as pd

TRACES = "workloads/azure_llm_2023/AzureLLMInferenceTrace_{}.csv"
MOONCAKE = "workloads/mooncake/conversation_trace.jsonl"


def numbers(data):
    """Numbers of requests of about an hour, in the order in which they came."""
    data = pathlib.Path(data)
    code, conversation = (pd.read_csv(data / TRACES.format(name)) for name in ("code", "conv"))
    with open(data / MOONCAKE) as lines:
        documents = [json.loads(line)["input_length"] for line in lines]
    return {"code, input": code.ContextTokens.to_numpy(float), "code, output": code.GeneratedTokens.to_numpy(float),
            "conversation, input": conversation.ContextTokens.to_numpy(float), "documents, input": np.array(documents, float)}


def categories(pools, count):
    """Two mixes of so many categories, as codes in the order of their shares: even (quantiles of the documents' input), and uneven (the
    most common lengths of the code service's output, and one category for all others)."""
    order = np.argsort(np.argsort(pools["documents, input"], kind="stable"), kind="stable")
    even = order * count // len(order)
    output = pd.Series(pools["code, output"])
    common = {value: code for code, value in enumerate(output.value_counts().index[:count - 1])}
    uneven = output.map(common).fillna(count - 1).to_numpy(int)
    ranks = {code: rank for rank, code in enumerate(pd.Series(uneven).value_counts().index)}
    return {"even": even.astype(int), "uneven": np.array([ranks[code] for code in uneven])}


def pair(generator, pool, n):
    """A reference and a window of n values each; no request is in both."""
    chosen = generator.choice(len(pool), 2 * n, replace=False)
    return pool[chosen[:n]], pool[chosen[n:]]


def consecutive(generator, pool, n):
    """A reference of n requests that came one after another, and as window the n that came next."""
    start = generator.integers(len(pool) - 2 * n + 1)
    return pool[start:start + n], pool[start + n:start + 2 * n]


def moved(pool, window, deviations):
    """The window moved by so many standard deviations of its pool, whole numbers staying whole."""
    return window + max(1, round(deviations * pool.std()))


def gained(generator, pool, window, points):
    """The window with the category of middle rank gaining so many points of all values, from all others alike."""
    middle = (pool.max() + 1) // 2
    share = (pool == middle).mean()
    return np.where((window != middle) & (generator.random(len(window)) < points / 100 / (1 - share)), middle, window)
