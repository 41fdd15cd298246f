"""Settings and markers for all tests: only `make test-slow` runs slow ones, `make test-quick` skips long ones."""

import atexit
import gc
import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# Homes that tests make are not remembered in the state folder of whoever runs them.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="rlm-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# The duration of an example has no meaning on a machine that does other work as well.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SLOW = (
    "tests/kernel/test_state_zoo.py::test_a_replayed_value_equals_its_snapshot_and_an_earlier_one_does_not[ASCII-a",
    "tests/kernel/test_state_zoo.py::test_a_replayed_value_equals_its_snapshot_and_an_earlier_one_does_not[ASCII-large",
    "tests/graph/batch/test_outcomes.py::test_two_hundred_questions_at_32_in_flight",
    "tests/nodes/approval/test_waiting_for_weeks.py::test_a_fork_at_any_step_of_a_reviewed_run_ends_and_pays_for_no_answer_again[plan",
    "tests/nodes/approval/test_waiting_for_weeks.py::test_a_fork_at_any_step_of_a_reviewed_run_ends_and_pays_for_no_answer_again[sub_call",
    "tests/e2e/agent_server/test_deciding_branches.py::test_history_shows_interrupts_and_a_decision_at_an_earlier_step",
    "tests/e2e/agent_server/test_state_edits.py::test_the_command_and_the_input_of_a_run_carry_no_edit",
    "tests/e2e/test_time_limit.py::test_a_waiting_call_is_ended_and_the_run_resumes_where_it_was[True",
    "tests/e2e/test_secrets_in_settings.py::test_no_secret_of_a_run_that_fails_and_is_resumed_is_saved_or_printed[file",
    "tests/e2e/page/test_accessibility.py::test_axe_finds_nothing_in_dark",
    "tests/e2e/page/test_accessibility.py::test_axe_would_find_something",
    "tests/e2e/page/test_accessibility.py::test_no_screen_is_wider_than_its_window",
    "tests/e2e/page/test_accessibility.py::test_a_printed_screen_has_no_bar_and_no_forms_and_shows_what_is_folded_by_height",
    "tests/e2e/page/test_forms.py::test_a_decision_of_one_tab_is_not_overruled_by_another",
    "tests/e2e/page/test_forms.py::test_everything_can_be_done_without_scripts",
    "tests/e2e/page/test_hostile_texts.py::test_texts_by_themselves_are_sent_as_plain_text",
    "tests/e2e/page/test_hostile_texts.py::test_rows_that_something_else_has_written_over_are_no_markup_either",
    "tests/e2e/page/test_hostile_texts.py::test_a_script_that_runs_or_is_refused_would_be_noticed",
    "tests/e2e/page/test_keys.py::test_escape_leads_up_and_g_r_to_the_runs",
    "tests/e2e/page/test_keys.py::test_slash_searches_and_letters_typed_there_are_letters",
    "tests/e2e/page/test_keys.py::test_a_question_mark_shows_the_keys_and_escape_closes_them",
    "tests/e2e/page/test_keys.py::test_whatever_has_the_focus_is_seen_to_have_it",
    "tests/e2e/page/test_live.py::test_eight_tabs_are_live_over_one_connection",
    "tests/e2e/page/test_live.py::test_focus_and_scrolling_stay_while_rows_come_before_them",
    "tests/e2e/page/test_live.py::test_a_selection_stays_until_it_is_let_go",
    "tests/e2e/page/test_live.py::test_a_hidden_tab_is_fetched_again_when_it_is_looked_at",
    "tests/e2e/page/test_live.py::test_the_first_run_of_a_home_appears",
    "tests/e2e/page/test_live.py::test_a_restarted_server_is_found_again_and_catches_up",
    "tests/e2e/page/test_live.py::test_times_are_those_of_the_viewer_and_what_runs_is_counted_on",
    "tests/e2e/page/test_story.py",
    "tests/e2e/page/test_view_command.py::test_the_default_port_is_left_to_who_has_it_and_a_named_one_is_asked_for_in_vain",
    "tests/e2e/page/test_view_command.py::test_a_browser_is_opened_with_a_ticket_that_lets_in_once_and_without_one_the_address_is_enough",
    "tests/e2e/page/test_view_command.py::test_a_home_of_others_is_shown_as_a_copy_that_cannot_be_changed",
    "tests/e2e/page/test_view_command.py::test_a_run_with_its_page_prints_the_address_and_ends_both",
    "tests/e2e/page/test_view_command.py::test_the_page_of_a_run_that_is_killed_ends_by_itself",
    "tests/e2e/page/test_view_command.py::test_a_detached_run_with_its_page_goes_on_when_the_page_is_ended",
    "tests/contract/test_patched_modules.py::test_after_a_patch_cells_run_and_their_variables_are_saved[messages",
    "tests/contract/test_patched_modules.py::test_after_a_patch_cells_run_and_their_variables_are_saved[types",
    "tests/e2e/agent_server/test_deciding_branches.py::test_a_copy_of_a_waiting_thread_waits_by_itself",
    "tests/e2e/agent_server/test_deciding_branches.py::test_a_decision_cannot_be_repeated_at_its_own_step",
    "tests/e2e/test_demo.py::test_plain_output_is_the_answer_alone",
    "tests/e2e/test_detached.py::test_a_detached_run_that_is_refused_ends_and_says_the_same_as_one_that_stays",
    "tests/e2e/test_detached.py::test_the_script_of_the_documentation_resumes_the_stopped_runs_of_a_home_and_no_others",
    "tests/e2e/test_stopping_from_elsewhere.py::test_every_run_of_the_home_is_stopped_at_once",
    "tests/kernel/test_state_zoo.py::test_a_replayed_value_equals_its_snapshot_and_an_earlier_one_does_not[mixed-a",
    "tests/kernel/test_state_zoo.py::test_a_replayed_value_equals_its_snapshot_and_an_earlier_one_does_not[mixed-large",
    "tests/kill/test_notified_killed.py::test_each_event_arrives_although_the_run_is_killed_at_any_failpoint[2",
    "tests/kill/test_notified_killed.py::test_each_event_arrives_although_the_run_is_killed_at_any_failpoint[3",
    "tests/kill/test_trees_in_processes.py::test_a_child_is_busy_while_its_caller_runs_and_can_be_resumed_once_that_is_dead",
    "tests/e2e/agent_server/test_deciding_from_elsewhere.py::test_the_command_line_decides_a_run_of_a_client",
    "tests/e2e/agent_server/test_deciding_from_elsewhere.py::test_the_command_line_cannot_decide",
    "tests/e2e/agent_server/test_threads_both_ways.py::test_a_client_can_resume_a_run_of_the_command_line[given",
    "tests/e2e/agent_server/test_threads_both_ways.py::test_the_server_does_not_execute_a_run_of_another_process",
    "tests/e2e/test_command_line.py::test_closed_and_full_output_streams_cause_no_traceback",
    "tests/e2e/test_command_line.py::test_the_demo_answers_offline_whatever_is_configured",
    "tests/e2e/test_following_printed_commands.py::test_a_killed_run_is_answered_by_the_printed_commands[tokens-3]",
    "tests/e2e/test_following_printed_commands.py::test_a_killed_run_is_answered_by_the_printed_commands[calls-1]",
    "tests/e2e/test_following_printed_commands.py::test_a_killed_run_is_answered_by_the_printed_commands[calls-3]",
    "tests/e2e/test_following_printed_commands.py::test_a_killed_run_is_answered_by_the_printed_commands[no limit-1]",
    "tests/e2e/test_following_printed_commands.py::test_a_killed_run_is_answered_by_the_printed_commands[no limit-3]",
    "tests/e2e/test_packages.py",
    "tests/e2e/test_reviewing.py::test_a_decision_of_another_reviewer_is_not_overruled",
    "tests/e2e/test_reviewing.py::test_code_replaced_while_its_review_is_open_does_not_run",
    "tests/e2e/test_reviewing.py::test_each_kind_of_request_can_be_decided_by_flags",
    "tests/e2e/test_reviewing.py::test_quitting_the_prompt_leaves_the_run_waiting",
    "tests/e2e/test_tracing.py::test_a_resumed_reviewed_or_forked_run_is_not_traced_either",
    "tests/e2e/test_tracing.py::test_a_run_is_not_traced_because_of_the_environment[older name]",
    "tests/e2e/test_tracing.py::test_a_run_is_not_traced_because_of_the_environment[refused name]",
    "tests/e2e/test_tracing.py::test_a_traced_run_can_be_resumed_untraced_and_an_untraced_one_forked_traced",
    "tests/kill/test_crash_points.py::test_a_run_killed_at_any_failpoint_ends_like_an_undisturbed_one[1]",
    "tests/kill/test_crash_points.py::test_a_run_killed_at_any_failpoint_ends_like_an_undisturbed_one[2]",
    "tests/kill/test_crash_points.py::test_a_run_killed_at_any_failpoint_ends_like_an_undisturbed_one[3]",
    "tests/kill/test_reviewed_killed.py::test_each_decision_is_applied_once_in_a_run_killed_at_any_failpoint[1]",
    "tests/kill/test_reviewed_killed.py::test_each_decision_is_applied_once_in_a_run_killed_at_any_failpoint[2]",
    "tests/kill/test_reviewed_killed.py::test_each_decision_is_applied_once_in_a_run_killed_at_any_failpoint[3]",
    "tests/kill/test_reviewed_trees_killed.py::test_each_sub_rlm_gets_its_decision_once_in_a_tree_killed_at_any_failpoint[2]",
    "tests/kill/test_reviewed_trees_killed.py::test_each_sub_rlm_gets_its_decision_once_in_a_tree_killed_at_any_failpoint[3]",
    "tests/kill/test_reviewing_in_processes.py",
    "tests/kill/test_trees_in_processes.py::test_a_tree_killed_at_random_leaves_no_kernel_and_each_of_its_runs_resumes[1]",
    "tests/kill/test_trees_in_processes.py::test_a_tree_killed_at_random_leaves_no_kernel_and_each_of_its_runs_resumes[2]",
    "tests/growth/test_growth.py::test_no_text_takes_more_than_its_length[read_reply",
    "tests/growth/test_growth.py::test_no_text_takes_more_than_its_length[passages_in",
    "tests/growth/test_growth.py::test_no_text_takes_more_than_its_length[take_off_thoughts",
    "tests/graph/test_saved_states.py::test_a_long_run_its_forks_and_its_branches_are_read_as_the_graph_reads_them",
    "tests/graph/test_reopening.py::test_a_run_killed_while_being_reopened_resumes_once_with_the_raised_limits",
    "tests/e2e/test_demo.py::test_every_printed_command_works_when_pasted",
    "tests/e2e/test_questions.py::test_the_same_command_goes_on_and_asks_nothing_twice_that_was_answered[Ctrl-C",
    "tests/e2e/test_questions.py::test_waiting_questions_are_reviewed_and_the_same_command_has_all_answers",
    "tests/e2e/test_detached.py::test_a_detached_run_reads_stdin_first_writes_its_file_and_is_not_asked_about_at_the_terminal",
    "tests/e2e/agent_server/test_deciding_from_elsewhere.py::test_an_interrupt_outlives_a_killed_server_and_is_decided_by_its_id",
    "tests/e2e/server_safety/test_traces.py::test_rlm_dev_sends_traces_when_the_user_turns_them_on[flag",
    "tests/kernel/test_process_limits.py::test_with_few_open_files_runs_are_read_and_new_ones_refused_before_anything_is_paid[10",
    "tests/kernel/test_process_limits.py::test_with_few_open_files_runs_are_read_and_new_ones_refused_before_anything_is_paid[64",
    "tests/sandbox/test_nothing_left.py::test_hundreds_of_started_and_killed_kernels",
)
"""Kill storms, further shares of a sampled test, packaging, and second ways to the same result: `make test-slow`."""

LONG = (
    "tests/graph/batch/",
    "tests/graph/fork/test_forking.py",
    "tests/graph/sub_rlms/",
    "tests/graph/test_any_history.py",
    "tests/graph/test_delete.py",
    "tests/graph/test_full_disk.py",
    "tests/graph/test_langgraph_adapter.py",
    "tests/graph/test_lost_kernels.py",
    "tests/graph/test_reopening.py",
    "tests/graph/test_starting_together.py",
    "tests/graph/test_saved_states.py",
    "tests/graph/test_state_edits.py",
    "tests/graph/test_verify.py",
    "tests/kernel/test_fuzzed_snapshots.py",
    "tests/kernel/test_input_slices.py",
    "tests/kernel/test_message_filter.py",
    "tests/kernel/test_untrusted_json.py",
    "tests/nodes/approval/test_calls_gate.py",
    "tests/nodes/approval/test_sub_rlm_gates.py",
    "tests/nodes/approval/test_waiting_for_weeks.py",
    "tests/nodes/models/test_schema_limits.py",
    "tests/nodes/models/test_schema_verdicts.py",
    "tests/nodes/sub_calls/",
)
"""Tests that run in process for more than some seconds: skipped by `make test-quick`."""

PROCESSES = (
    "tests/docs/test_api_reference.py::test_the_example_runs",
    "tests/docs/test_packaging.py::test_a_checkout_without_links_builds_the_whole_package",
    "tests/docs/test_packaging.py::test_an_editable_install_is_refused_with_one_sentence_when_links_are_plain_files",
    "tests/docs/test_small_model.py::test_the_server_stops_with_its_program",
    "tests/graph/test_home_folders.py::test_git_ignores_the_home_of_a_run_in_a_repository",
    "tests/kernel/test_generators.py::test_numpys_generator_starts_equal_even_if_numpy_was_imported_before_the_code_did",
    "tests/nodes/models/test_providers.py::test_no_provider_is_imported_before_a_model_is_opened",
    "tests/nodes/models/test_scripted_server.py::test_the_server_runs_as_a_program_and_prints_a_summary_of_its_requests",
    "tests/state/test_leases.py::test_the_lease_of_a_dead_process_is_taken_over_at_once_whatever_the_clock_says",
    "tests/state/test_leases.py::test_a_living_process_keeps_its_thread_whatever_the_clock_says",
    "tests/state/test_leases.py::test_setting_the_clock_kills_no_holder",
    "tests/state/test_older_formats.py::test_variables_saved_by_an_earlier_version_are_restored_and_not_rebuilt",
    "tests/studio/approval/test_terminal.py",
    "tests/studio/test_command_line.py::test_the_command_line_imports_no_heavy_modules",
    "tests/studio/test_gc_tuning.py",
    "tests/studio/test_printed_commands.py::test_the_module_runs_as_the_program",
    "tests/studio/test_reading_imports.py",
    "tests/studio/test_trees.py::test_a_sub_rlm_of_a_running_run_is_busy_and_the_message_names_that_run",
)
"""Tests in otherwise in-process folders that start a kernel or a program: skipped by `make test-quick`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the lists above."""
    for names, mark in ((SLOW, "slow"), (LONG, "long"), (PROCESSES, "processes")):
        for item in items:
            if item.nodeid.startswith(names):
                item.add_marker(mark)


def pytest_collection_finish() -> None:
    """Freeze what was imported and collected, as the objects of a kernel are frozen when it starts.

    Code of kernels looks through all objects, and a worker of this suite has millions of them.
    """
    gc.collect()
    gc.freeze()
