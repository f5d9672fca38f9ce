"""`make bench`: both sides of every comparison in one run; the ratios count, the seconds are this machine's.

`python -m tests.benchmarks mixture vae --quick` runs those two, with sizes cut until figures are only rough.
"""

import argparse
import importlib

SUBJECTS = (
    "mixture",
    "small",
    "vae",
    "mnist",
    "holes",
    "hmm",
    "hmm_fit",
    "hmm_posterior",
    "lda",
    "corpus",
    "newsgroups",
    "rbm",
    "gan",
    "chorales",
    "rows",
    "diagnose",
)

parser = argparse.ArgumentParser(description="Side by side with peers.")
parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(SUBJECTS)}; all by default")
parser.add_argument("--quick", action="store_true", help="small sizes, a minute or so a subject")
asked = parser.parse_args()
unknown = set(asked.subjects) - set(SUBJECTS)
if unknown:
    parser.error(f"no subject {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
for subject in asked.subjects or SUBJECTS:
    importlib.import_module(f".{subject}", __package__).main(asked.quick)
