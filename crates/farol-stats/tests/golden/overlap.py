"""Makes overlap.json: word overlap of texts by scikit-learn, to hold farol-stats against.

    pip install scikit-learn==1.9.1 && python overlap.py > overlap.json
"""

import itertools
import json

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import jaccard_score

ANSWERS = [
    ["The deadline is 30 days from delivery.", "The deadline is 30 days from the order.", "30 days, counted from delivery"],
    ["Yes.", "yes", "No, it is not."],
    ["O prazo é de 30 dias após a entrega.", "O prazo de devolução é de trinta dias.", "Trinta dias após a entrega"],
    ["fn main() { println!(\"hi\"); }", "fn main() { print!(\"hi\") }"],
    ["Paris is the capital of France.", "The capital of France is Paris."],
    ["error_rate > 0.2", "the error_rate is over 0.2", "errors: 20 %", "0.2"],
    ["Straße und Größe", "strasse und größe"],
    ["one two three four five six seven eight nine ten", "ten nine eight seven six five four three two one zero"],
    ["", "something"],
]


def overlap(a: str, b: str) -> float:
    vectors = CountVectorizer(binary=True, lowercase=True, token_pattern=r"(?u)\w+").fit_transform([a, b]).toarray()
    return float(jaccard_score(vectors[0], vectors[1]))


def main() -> None:
    cases = []
    for texts in ANSWERS:
        pairs = [overlap(a, b) for a, b in itertools.combinations(texts, 2)]
        with_first = [overlap(texts[0], other) for other in texts[1:]]
        cases.append(
            {
                "texts": texts,
                "pairs": pairs,
                "mean_pairwise": sum(pairs) / len(pairs),
                "first_with_others": sum(with_first) / len(with_first),
            }
        )
    print(json.dumps(cases, ensure_ascii=False, indent=1))


main()
