"""Makes drift_decision.json: Benjamini–Hochberg by statsmodels and SciPy, to hold farol-stats against.

    pip install scipy==1.17.1 statsmodels==0.15.0 numpy==2.4.6 && python drift_decision.py > drift_decision.json
"""

import json

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

rng = np.random.default_rng(22)
cases = []
for count in [1, 2, 5, 20, 200]:
    for power in [1, 3]:
        p_values = rng.uniform(size=count) ** power
        p_values[:: max(1, count // 3)] = p_values[0]
        adjusted = multipletests(p_values, method="fdr_bh")[1]
        assert np.allclose(adjusted, stats.false_discovery_control(p_values), rtol=1e-14)
        cases.append({"p_values": p_values.tolist(), "adjusted": adjusted.tolist()})
print(json.dumps(cases))
