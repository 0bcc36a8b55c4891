"""The faults that were once seen in use (docs/RELIABILITY.md), by kind, and the tests that each is kept away by.

``pytest -m faults`` runs them. A pattern is a file, or a file and the beginning of a test's name.
"""

import pytest

RELIABILITY, REPORT = "tests/reliability", "tests/report"
EARLY = f"{RELIABILITY}/test_refused_early.py"

ENTRIES = {
    "1 diverged trainings": (
        "tests/training/test_divergence.py",
        f"{EARLY}::test_a_search_in_which_every_evaluation_failed",
        f"{EARLY}::test_a_failed_evaluation_is_never_the_incumbent",
        f"{EARLY}::test_a_divergence_speaks_of_a_checkpoint",
    ),
    "2 misspelt ablations": (
        "tests/test_configuration_check.py::test_a_misspelt_choice_is_refused_with_the_nearest",
        f"{EARLY}::test_a_choice_that_does_not_exist_names_the_nearest",
        f"{EARLY}::test_what_nothing_reads_ends_a_whole_sweep",
        f"{EARLY}::test_a_label_is_not_typed",
        f"{EARLY}::test_a_glob_that_matches_nothing",
    ),
    "3 what is called baseline": (
        f"{REPORT}/test_report.py::test_the_baseline_is_the_unchanged_plan",
        f"{REPORT}/test_report.py::test_a_study_without_the_unchanged_plan",
        f"{REPORT}/test_report.py::test_a_default_that_is_named_changes_nothing",
        "tests/logging/test_loggers.py::test_changes_without_an_ablation_file_are_no_baseline",
        "tests/test_run_names.py",
    ),
    "4 settings without effect": ("tests/test_effects.py", "tests/heuristics/test_standalone_modes.py"),
    "5 goes on elsewhere": (
        f"{RELIABILITY}/test_hostile_files.py::test_another_environment_is_noticed",
        f"{RELIABILITY}/test_hostile_files.py::test_what_goes_on_in_another_environment",
    ),
    "7 the fitted baseline": ("tests/ranking/test_baselines.py::test_ranks_are_fitted",),
    "8 words beside numbers": (
        "tests/test_endings.py::test_the_words_follow_the_numbers",
        "tests/test_configuration_check.py::test_a_dry_run_of_a_sweep_with_a_job_that_would_fail",
        f"{EARLY}::test_a_job_that_will_fail_is_known",
        "tests/logging/test_loggers.py::test_rows_from_before_a_kill_are_kept",
        "tests/ranking/test_selection.py::test_there_is_nothing_to_beat",
        "tests/nets/test_initialization.py",
        "tests/nets/test_affine_outside.py",
    ),
    "9 pickles": ("tests/benchmarks/test_restricted.py",),
    "10 numbers of a table": ("tests/benchmarks/test_table_file.py::test_wrong_tables_are_not_written",),
    "11 one odd run": (f"{REPORT}/test_broken_runs.py", f"{REPORT}/test_archive.py", f"{REPORT}/test_page_size.py"),
    "12 left-overs": (f"{RELIABILITY}/test_leftovers.py", f"{EARLY}::test_what_was_made_for_a_run"),
    "13 two commands at a time": (f"{RELIABILITY}/test_hostile_files.py::test_a_folder_belongs_to_one_process",),
    "14 tracebacks": (
        f"{RELIABILITY}/test_output.py",
        f"{RELIABILITY}/test_result_types.py",
        "tests/training/test_stopped_rank.py",
        "tests/test_settled.py::test_a_study_is_a_folder_below_the_runs",
        "tests/test_settled.py::test_a_text_where_a_heuristic_takes_a_number",
        f"{EARLY}::test_pipes",
        f"{EARLY}::test_a_pipe",
        f"{EARLY}::test_bytes_that_are_no_text",
        "tests/analysis/test_landscape.py::test_what_is_wrong",
        "tests/analysis/test_landscape.py::test_signals",
    ),
    "15 settings that are not read": (
        "tests/data/test_sources.py::test_what_a_data_set_does_not_read_is_refused",
        "tests/search/test_objectives.py::test_a_run_folder_is_its_final_checkpoint",
    ),
    "16 files of others": (
        f"{EARLY}::test_a_file_of_another_kind",
        "tests/benchmarks/test_convert_more.py",
        "tests/benchmarks/test_known_commands.py",
    ),
    "17 the page": (
        f"{REPORT}/test_report.py::test_many_curves_become_one_plot",
        f"{REPORT}/test_report.py::test_another_score_may_be_the_one_that_counts",
        f"{REPORT}/test_report.py::test_search_curves_are_regret",
    ),
    "18 the terminal": ("tests/test_endings.py", f"{EARLY}::test_equal_reasons_are_said_once"),
    "19 ambiguous lists": (
        "tests/benchmarks/test_convert_lists.py::test_what_is_ambiguous",
        "tests/benchmarks/test_convert_lists.py::test_repeated_trainings",
    ),
    "20 whole numbers": ("tests/spaces/test_spellings.py::test_whole_numbers_alone",),
    "21 genotypes": ("tests/spaces/test_spellings.py::test_what_is_no_genotype",),
    "22 spreadsheets": ("tests/benchmarks/test_convert_lists.py::test_a_spreadsheets_csv_is_read",),
    "23 spellings": ("tests/spaces/test_spellings.py::test_spellings_of",),
    "24 one input twice": ("tests/spaces/test_spellings.py::test_a_node_that_reads_one_input_twice",),
    "25 added keys and precisions": (
        "tests/test_configuration_check.py::test_an_added_key",
        "tests/test_settled.py::test_half_precision_needs_a_gpu",
    ),
    "26 metrics": ("tests/ranking/test_torchmetrics.py",),
    "27 other inputs": ("tests/test_content_counts.py",),
    "28 advice": (
        "tests/test_configuration_check.py::test_no_advice_that_does_not_work",
        f"{RELIABILITY}/test_refusals.py::test_a_name_in_the_wrong_place",
        "tests/nets/test_sizes.py",
    ),
    "29 late refusals": (
        "tests/test_configuration_check.py::test_numbers_out_of_range_are_refused",
        f"{EARLY}::test_a_job_that_will",
        f"{EARLY}::test_a_trial_has_to_be_in_flight",
        f"{EARLY}::test_a_dry_run",
        f"{EARLY}::test_a_budget",
    ),
    "30 Optuna's metric": ("tests/sweeps/test_adaptive_metric.py", f"{EARLY}::test_optunas_study_names"),
    "31 precisions": ("tests/test_settled.py::test_aliases_of_a_precision_are_one_run",),
    "32 units and data sets": ("tests/benchmarks/test_convert_lists.py::test_data_set_names_are_written_in_one_way",),
    "33 what the machine lacks": (
        "tests/test_settled.py::test_a_gpu_that_is_not_there_is_one_sentence",
        "tests/test_configuration_check.py::test_seeds_that_pytorch_cannot_hold",
        f"{REPORT}/test_report.py::test_bad_input_is_one_sentence_and_writes_nothing",
        f"{EARLY}::test_memory_has_a_size",
    ),
    "34 paths": (
        "tests/test_settled.py::test_the_home_folder_is_expanded_in_every_path",
        f"{RELIABILITY}/test_checkpoint_files.py::test_checkpoints_of_before_are_found",
    ),
}
"""By number and kind; 6, numbers that hang on the machine, is no matter of the code (docs/RESULTS.md)."""
PATTERNS = tuple(pattern for patterns in ENTRIES.values() for pattern in patterns)


def mark(items):
    """Set the marker ``faults`` on the tests of `ENTRIES`."""
    for item in items:
        if item.nodeid.startswith(PATTERNS):
            item.add_marker(pytest.mark.faults)
