"""Schemas of train.py's configuration: types, units, and one sentence a field. A typo is an error at compose time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, make_dataclass
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from nas_lightning import plan
from nas_lightning.config.ablations import register_ablations
from nas_lightning.config.help import register_help
from nas_lightning.config.installed import register_installed
from nas_lightning.config.settled import settle
from nas_lightning.config.store import share_config_store
from nas_lightning.predictors import CHEAP


def _unfrozen(kind: type) -> type:
    """The dataclass without `frozen`, which OmegaConf would take for read-only."""
    hints = get_type_hints(kind)
    leaves = [(f.name, hints[f.name], f.default) for f in fields(kind)]
    # Of this module, so that a configuration can travel to another process.
    return make_dataclass(kind.__name__ + "Schema", leaves, namespace={"__module__": __name__})


MappingSchema = _unfrozen(plan.Mapping)
ProtocolSchema = _unfrozen(plan.Protocol)


@dataclass
class PlanSchema:
    """The starting point, before the heuristics edit it: see nas_lightning/plan.py for every field."""

    mapping: MappingSchema = field(default_factory=MappingSchema)  # type: ignore[valid-type]
    protocol: ProtocolSchema = field(default_factory=ProtocolSchema)  # type: ignore[valid-type]


@dataclass
class SpaceSchema:
    name: str = MISSING
    """nasbench101, nasbench201, nasbench201_dense, darts_nds, nasbench_macro, rnn_ptb, nasbench_nlp, or the name of
    one's own space."""
    _target_: str | None = None
    """Dotted path of the space's class; null looks the name up."""


@dataclass
class DataSchema:
    name: str = MISSING
    """digits, cifar10, cifar100, imagenet16_120, topics, ptb, or what tables call one's own data set."""
    _target_: str | None = None
    """Dotted path of a source of images with classes, or of a whole task; null looks the name up."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of that class, by name: data.path=… is short for data.settings.path=…."""
    root: str = "${oc.env:NAS_LIGHTNING_DATA,data}"
    """Folder that holds the official files."""
    split_seed: int = 0
    """Seed of the permutation that separates training from held-out images."""
    max_train_images: int | None = None
    """Use only so many of the official training images (training and held-out together)."""
    augment: Any = True
    """Of training images: true (crop+flip: random crop, and flip where the images allow it), false (none), crop,
    randaugment or autoaugment."""
    image_size: int | None = None
    """Average all images down to this side, a cheaper proxy: computation falls with its square; null keeps them, and in
    mode=evaluate takes what each super-net was trained with."""
    download: bool = False
    """Let torchvision fetch a missing data set."""


@dataclass
class BenchmarkSchema:
    name: str | None = MISSING
    """Embedded or official table to rank against; null ranks against nothing."""
    root: str = "${oc.env:NAS_LIGHTNING_BENCHMARKS,${oc.env:NAS_LIGHTNING_DATA,data}}"
    """Folder that holds official tables, as Arrow or Parquet."""
    dataset: str | None = None
    """Data set whose columns are read where a table has several."""


@dataclass
class EvaluationSchema:
    architectures: str = "random200_seed0"
    """Evaluated set: random<N>_seed<S>, random<N>raw_seed<S>, all, unique, top10pct, a difference A-B of two of these
    (all-random1000raw_seed0: what a development set left over), or a file of architectures."""
    every: int = 0
    """Rank every so many epochs during training; 0 ranks at the end alone."""
    batch_size: int = 100
    """Images per evaluation batch; with batch statistics the accuracy depends on it."""
    images: int | None = None
    """Held-out images used; null uses all that fill whole batches."""
    score: str | None = None
    """The predictor that the headline ranks by; null takes the task's quality, accuracy of images with classes. Others:
    negative_cross_entropy, linear_probe, class_separation, or another by its name (naswot, …; conf/predictor has them);
    all computed ones are stored."""
    predictors: list[Any] = field(default_factory=list)
    """Further predictors to compute, store and rank: names, or {_target_: my_module.MyPredictor, setting: value}."""
    baselines: list[Any] = field(default_factory=lambda: list(CHEAP))
    """Predictors that stand beside the super-net's, given as `predictors` are; the defaults cost next to nothing."""
    probe_images: int = 0
    """Training images that linear probes of every architecture are fitted on, for the scores linear_probe (explained
    variance on the held-out images) and class_separation (its geometric mean with the share of the features' variance
    between classes, at the later stages); 0 computes none. Costs as much as scoring that many images more."""
    skip: int = 0
    """Held-out images, and training images of the probes, that are passed over before the first one used. Other images
    for the same weights (mode=evaluate) show the noise of scoring."""
    threshold: float = 0.001
    """Bin width of the sparse Kendall tau, as a fraction of accuracy."""
    diagnostics: bool = False
    """Also write diagnostics.parquet: parameters, MACs, latency on this machine, optimization gap per architecture."""
    top_k: int | None = None
    """K of the final search performance; null takes the space's (5, 10 on NAS-Bench-201)."""
    fuse: list[str] = field(default_factory=list)
    """Names of other predictors (parameters, naswot, linear_probe, …) to rank-average with the score, as one more
    predictor with a name."""
    snapshots: int = 0
    """Also rank-average the last so many rankings during training (`every`), as one more predictor with a name."""
    batch_norm: str | None = None
    """mode=evaluate: batch, tracked or recalibrate; null takes the checkpoint's. Else see heuristics/batch_norm."""


@dataclass
class TrainerSchema:
    accelerator: str = "auto"
    """cpu, gpu or auto."""
    devices: str = "1"
    """Processes per machine, one device each, or the GPUs by their indices in a list, such as [0,1]."""
    strategy: str = "single"
    """single: one process on one device. ddp: devices x num_nodes processes, that share every (global) batch."""
    num_nodes: int = 1
    """Machines; above 1 the processes are started by torchrun or SLURM."""
    sync_batchnorm: bool = False
    """Normalise with the moments of the global batch, not with those of the process's own part of it."""
    precision: str = "32-true"
    """32-true, bf16-mixed, 64-true."""
    deterministic: bool = False
    """Deterministic algorithms on a GPU, at a cost in speed and memory (docs/RELIABILITY.md); a CPU run is as it is."""
    progress_bar: bool = True
    """Show progress: a bar on a terminal, lines in a log file."""
    checkpoint_every: int = 10
    """Epochs between checkpoints; the last epoch is always saved."""
    checkpoint_every_steps: int | None = None
    """Optimizer steps between checkpoints, in the middle of an epoch too; null saves by epochs and minutes alone."""
    checkpoint_minutes: float | None = 10.0
    """Minutes of training after which a checkpoint is saved at the next step; null switches the clock off."""
    threads: int | None = None
    """CPU threads of PyTorch; null leaves its default."""


@dataclass
class TableSchema:
    architectures: int = 500
    """Number of unique architectures to train."""
    seeds: int = 12
    """Stand-alone trainings per architecture."""
    sample_seed: int = 0
    """Seed of the draw of the architectures."""
    workers: int = 2
    """Parallel processes, one thread each."""
    out: str | None = None
    """Where the finished table is written, as Parquet; null writes it into the run folder."""


@dataclass
class AblationSchema:
    factor: str = MISSING
    """The one heuristic that an ablation changes; ablation=<factor>_<setting> sets both fields."""
    setting: str = MISSING
    """What it is changed to: a file of heuristics/<factor>."""


@dataclass
class LoggerSchema:
    name: str = "none"
    """none, csv, tensorboard or wandb; metrics.csv is written in any case."""
    project: str = "nas-lightning"
    """Project of W&B that the run is shown in."""
    checkpoint: bool = False
    """Keep the final checkpoint as an artifact; logger=wandb alone has these."""


@dataclass
class TrainConfig:
    """python train.py: train one super-net and rank it (mode=supernet), one architecture (standalone), or a table."""

    mode: str = "supernet"
    """supernet, standalone, table, or evaluate (score with trained super-nets, without training)."""
    space: SpaceSchema = field(default_factory=SpaceSchema)
    data: DataSchema = field(default_factory=DataSchema)
    benchmark: BenchmarkSchema = field(default_factory=BenchmarkSchema)
    plan: PlanSchema = field(default_factory=PlanSchema)
    heuristics: dict[str, Any] = field(default_factory=dict)
    """Callbacks by their factors, see above; heuristics.<factor>=null removes one."""
    ablation: AblationSchema | None = None
    evaluation: EvaluationSchema = field(default_factory=EvaluationSchema)
    trainer: TrainerSchema = field(default_factory=TrainerSchema)
    logger: LoggerSchema = field(default_factory=LoggerSchema)
    table: TableSchema = field(default_factory=TableSchema)
    checkpoint: Any = None
    """mode=evaluate: a .ckpt file or run folder, or a list of them, whose rankings are then fused too."""
    architecture: str | None = None
    """mode=standalone: the architecture, in the field's string form, or a .txt file that holds one (derived.txt)."""
    recipe: str | None = None
    """Name of the recipe that set the starting point."""
    study: str | None = None
    """Name of the study this run belongs to; its runs share a folder and a W&B group."""
    seed: int = 0
    """Seed of initial weights, order, augmentation and paths."""
    init_seed: int | None = None
    """Seed of the initial weights alone; null takes `seed`. One value and several seeds show the noise of the order."""
    force: bool = False
    """Repeat a run that is already complete."""
    dry_run: bool = False
    """Only print the jobs, which of them are done, and the estimated cost; start nothing, write nothing."""
    runs: str = "runs"
    """Folder of the run folders."""

    @property
    def changed_factor(self) -> dict[str, str] | None:
        """The factor and setting that an ablation file names; None without one."""
        return None if self.ablation is None else {"factor": self.ablation.factor, "setting": self.ablation.setting}


def plan_of(section: PlanSchema) -> plan.Plan:
    """The starting point as a value. Raises PlanError where it contradicts itself."""
    return plan.Plan.from_dict({"mapping": asdict(section.mapping), "protocol": asdict(section.protocol)})


def typed(cfg: DictConfig) -> Any:
    """The composed configuration as the dataclasses that it was declared by, every interpolation resolved, every value
    in its one form (`settled.settle`). Raises UserError."""
    config: Any = OmegaConf.to_object(cfg)
    data = config.data
    own = {key: value for key, value in vars(data).items() if key not in DataSchema.__dataclass_fields__}
    for key, value in own.items():  # what the class of data._target_ reads
        data.settings[key] = value
        delattr(data, key)
    return settle(config)


def open_data(kind: type) -> DictConfig:
    """The schema with a ``data`` section that takes keys of the user's own class, too."""
    schema: DictConfig = OmegaConf.structured(kind, flags={"allow_objects": True})
    OmegaConf.set_struct(schema.data, False)
    return schema


def register() -> None:
    """Make the schemas known to Hydra, under the names that conf/train.yaml uses."""
    share_config_store()
    store = ConfigStore.instance()
    store.store(name="train_schema", node=open_data(TrainConfig))
    register_ablations()
    register_installed()
    register_help("train", TrainConfig)
