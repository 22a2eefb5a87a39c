"""Common odds ratios and p-values of the Cochran-Mantel-Haenszel test, for crates/core/src/motif/enrichment.rs.

Tables by stratum are [class with, class without, rest with, rest without]. The odds ratio and the statistic are those of
statsmodels' StratifiedTable with its correction; the logarithm of the p-value is mpmath's, because it may underflow.
Made with statsmodels 0.15.0, NumPy 2.4.6 and mpmath 1.4.1.
"""

import json
import pathlib

import mpmath
import numpy as np
import statsmodels
from statsmodels.stats.contingency_tables import StratifiedTable

mpmath.mp.dps = 40
rng = np.random.default_rng(20)
cases = [[[3, 1, 1, 3]], [[8, 2, 1, 5]], [[26, 7, 4, 20], [9, 9, 5, 11]], [[900, 100, 100, 900]]]
for _ in range(20):
    strata = rng.integers(1, 12)
    size = rng.integers(2, 400)
    cases.append(rng.integers(1, size + 1, (strata, 4)).tolist())
cases.append([[20000, 300, 400, 30000], [900, 20, 10, 700]])

golden = []
for tables in cases:
    stacked = [np.array(table, float).reshape(2, 2) for table in tables]
    found = StratifiedTable(stacked)
    statistic = found.test_null_odds(correction=True).statistic
    p = mpmath.erfc(mpmath.sqrt(mpmath.mpf(float(statistic)) / 2))
    if found.test_null_odds(correction=True).pvalue > 1e-6:  # one minus a distribution function, not exact below
        assert abs(float(p) / found.test_null_odds(correction=True).pvalue - 1) < 1e-8
    golden.append({"tables": tables, "odds_ratio": found.oddsratio_pooled, "log10_p": float(mpmath.log10(p))})
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text("[\n" + ",\n".join(json.dumps(case) for case in golden) + "\n]\n")
print(statsmodels.__version__, np.__version__, mpmath.__version__)
