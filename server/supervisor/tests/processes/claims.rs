//! What is claimed of real processes.

mod end;
mod output;
mod server_death;
mod session;
mod start;

use std::future::Future;

/// All claims, by name.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("an_exit_before_hello_is_reported_with_its_last_words", start::exits_early),
    ("a_signal_is_reported_by_its_name", start::dies_by_signal),
    ("a_process_that_never_says_hello_is_ended", start::never_says_hello),
    ("a_missing_program_is_named_with_its_folder", start::missing_program),
    ("a_script_without_its_interpreter_is_told", start::missing_interpreter),
    ("a_process_is_prepared_as_promised", start::is_prepared),
    ("a_flood_without_line_ends_never_blocks_the_child", output::flood),
    ("output_is_in_the_log_file_as_json_lines", output::log_file),
    ("a_grandchild_that_holds_the_pipes_delays_nothing", output::held_pipes),
    ("a_process_that_ignores_sigterm_is_killed_and_reaped", end::ignores_term),
    ("a_grandchild_in_the_group_dies_with_the_process", end::grandchild),
    ("an_unexpected_exit_takes_the_grandchild_with_it", end::orphaned_grandchild),
    ("shutdown_leaves_no_process_and_no_zombie", end::shutdown),
    ("a_session_takes_work_and_shows_what_is_registered", session::takes_work),
    ("a_killed_process_is_replaced_and_reported", session::killed),
    ("work_in_flight_is_counted_in_the_crash_report", session::in_flight),
    ("a_drained_process_exits_by_itself", session::drained),
    ("a_forgotten_extension_leaves_nothing", session::forgotten),
    ("nothing_outlives_a_server_that_was_killed", server_death::killed),
    ("the_next_server_ends_what_was_left_over", server_death::swept),
    ("two_servers_never_share_a_run_folder", server_death::shared),
];

fn run(claim: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(claim);
}
