//! The table of attacks, and the test that no row of it goes without a case.
//!
//! A *cell* row is tried by this suite in every world. Rows about parsing, scoring and text are tried once, where the product
//! does these things.

use crate::case::Case;
use crate::world::World;
use ansatz_sandbox::Verdict;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Number, name, the tests of this suite that try it, and other files with the tests in them that do.
type Row = (u8, &'static str, &'static [&'static str], &'static [(&'static str, &'static [&'static str])]);

/// Every attack. Files are counted from the repository's root.
const ROWS: &[Row] = &[
    (1, "host-files", &["files::row_01_host_files"], &[]),
    (2, "secrets-in-env", &["files::row_02_secrets_in_env"], &[]),
    (3, "pid1-environ", &["files::row_03_pid1_environ"], &[]),
    (4, "proc-list", &["processes::row_04_proc_list"], &[]),
    (5, "proc-sys", &["files::row_05_proc_sys"], &[]),
    (6, "sysrq, kcore, keys", &["files::row_06_sysrq_kcore_keys"], &[]),
    (7, "sys-cgroup", &["files::row_07_sys_cgroup"], &[]),
    (8, "cwd-fd-leak", &["files::row_08_cwd_fd_leak"], &[]),
    (9, "ipv4", &["network::row_09_ipv4"], &[]),
    (10, "ipv6", &["network::row_10_ipv6"], &[]),
    (11, "dns", &["network::row_11_dns"], &[]),
    (12, "metadata", &["network::row_12_metadata"], &[]),
    (13, "host-loopback", &["network::row_13_host_loopback"], &[]),
    (14, "abstract-unix", &["network::row_14_abstract_unix"], &[]),
    (15, "path-unix", &["network::row_15_path_unix"], &[]),
    (16, "odd-families", &["network::row_16_odd_families"], &[]),
    (17, "fork-bomb", &["resources::row_17_fork_bomb"], &[]),
    (18, "thread-bomb", &["resources::row_18_thread_bomb"], &[]),
    (19, "mem-bomb", &["resources::row_19_mem_bomb"], &[]),
    (20, "mem-children", &["resources::row_20_mem_children"], &[]),
    (21, "oom-immune", &["resources::row_21_oom_immune"], &[]),
    (22, "shm-memfd-fill", &["resources::row_22_shm_memfd_fill"], &[]),
    (23, "disk-fill", &["resources::row_23_disk_fill"], &[]),
    (24, "inode-fill", &["resources::row_24_inode_fill"], &[]),
    (25, "sparse", &["resources::row_25_sparse"], &[]),
    (26, "deep-tree", &["results::row_26_deep_tree"], &[]),
    (27, "stdout-flood", &["resources::row_27_stdout_flood"], &[]),
    (28, "no-newline", &["resources::row_28_no_newline"], &[]),
    (
        29,
        "escapes",
        &["results::row_29_escapes"],
        &[
            ("report/src/text.rs", &["escape_sequences_are_written_out"]),
            ("cli/src/console.rs", &["a_failure_is_two_harmless_lines"]),
        ],
    ),
    (30, "out-symlink", &["results::row_30_out_symlink"], &[]),
    (31, "out-symlink-dir", &["results::row_31_out_symlink_dir"], &[]),
    (32, "hardlink", &["results::row_32_hardlink"], &[]),
    (33, "fifo, socket", &["results::row_33_fifo_socket"], &[]),
    (34, "device-node", &["results::row_34_device_node"], &[]),
    (35, "setuid-out", &["results::row_35_setuid_out"], &[]),
    (36, "bad-names", &["results::row_36_bad_names"], &[]),
    (37, "swap-race", &["results::row_37_swap_race"], &[]),
    (38, "write-in", &["files::row_38_write_in"], &[]),
    (39, "cache-poison", &["files::row_39_cache_poison"], &[]),
    (40, "label-hunt", &["files::row_40_label_hunt"], &[]),
    (41, "neighbour", &["files::row_41_neighbour"], &[]),
    (42, "ptrace-parent", &["kernel::row_42_ptrace_parent"], &[]),
    (43, "kill-all", &["processes::row_43_kill_all"], &[]),
    (44, "prlimit-pid1", &["kernel::row_44_prlimit_pid1"], &[]),
    (45, "setsid-survivor", &["processes::row_45_setsid_survivor"], &[]),
    (46, "held-pipe", &["processes::row_46_held_pipe"], &[]),
    (47, "self-exe", &["processes::row_47_self_exe"], &[]),
    (48, "unshare-mount", &["kernel::row_48_unshare_mount"], &[]),
    (49, "io_uring", &["kernel::row_49_io_uring"], &[]),
    (50, "keyrings", &["kernel::row_50_keyrings"], &[]),
    (51, "kernel-iface", &["kernel::row_51_kernel_iface"], &[]),
    (52, "arch-switch", &["kernel::row_52_arch_switch"], &[]),
    (53, "tiocsti", &["kernel::row_53_tiocsti"], &[]),
    (54, "priv", &["processes::row_54_priv"], &[]),
    (55, "rlimit-raise", &["processes::row_55_rlimit_raise"], &[]),
    (56, "clock", &["kernel::row_56_clock"], &[]),
    (57, "ignore-signals", &["resources::row_57_ignore_signals"], &[]),
    (58, "busy-loop", &["resources::row_58_busy_loop"], &[]),
    (59, "stdin-wait", &["resources::row_59_stdin_wait"], &[]),
    (60, "core-dump", &["resources::row_60_core_dump"], &[]),
    (61, "memfd-exec", &["processes::row_61_memfd_exec"], &[]),
    (
        62,
        "gpu-hog",
        &[],
        &[("sandbox/tests/gpu.rs", &["a_leased_gpu_computes_in_a_cell_and_comes_back_clean"])],
    ),
    (63, "gpu-other", &["rows::row_63_gpu_other"], &[]),
    (64, "ld-preload", &["files::row_64_ld_preload"], &[]),
    (65, "pickle-bomb", &[], &[("tests/hostile.rs", &["a_poisoned_model_harms_nothing_and_knows_nothing"])]),
    (66, "onnx-external", &["files::row_66_onnx_external"], &[]),
    (
        67,
        "zip-bomb",
        &[],
        &[
            ("worker/tests/test_reader.py", &["test_a_gzip_bomb_is_refused"]),
            ("tests/bad_input.rs", &["a_zip_file_in_disguise"]),
        ],
    ),
    (68, "zip-slip", &[], &[("tests/bad_input.rs", &["a_zip_file_in_disguise"])]),
    (69, "fake-score", &[], &[("tests/hostile.rs", &["gaming_scripts_do_not_change_the_trusted_score"])]),
    (
        70,
        "nan-score",
        &[],
        &[
            ("tests/hostile.rs", &["gaming_scripts_do_not_change_the_trusted_score"]),
            ("referee/src/submission.rs", &["numbers_must_be_finite_and_in_range"]),
        ],
    ),
    (
        71,
        "wrong-ids",
        &[],
        &[
            (
                "referee/src/submission.rs",
                &[
                    "missing_unknown_and_repeated_ids_are_named",
                    "rows_come_in_the_order_of_the_sample_and_columns_by_class_name",
                ],
            ),
            ("worker/tests/test_reader.py", &["test_separators_and_line_ends", "test_encodings"]),
        ],
    ),
    (
        72,
        "huge-csv",
        &[],
        &[(
            "worker/tests/test_reader.py",
            &["test_huge_fields_are_refused", "test_more_rows_than_can_be_held_are_refused"],
        )],
    ),
    (73, "patch-metric", &[], &[("tests/hostile.rs", &["gaming_scripts_do_not_change_the_trusted_score"])]),
    (74, "time-limit-edit", &["processes::row_74_time_limit_edit"], &[]),
    (75, "inject-cell", &[], &[("tests/hostile.rs", &["orders_in_the_data_are_not_followed"])]),
    (76, "inject-column", &[], &[("tests/hostile.rs", &["orders_in_the_data_are_not_followed"])]),
    (77, "inject-stderr", &[], &[("tests/hostile.rs", &["orders_in_the_data_are_not_followed"])]),
    (78, "formula", &[], &[("tests/hostile.rs", &["orders_in_the_data_are_not_followed"])]),
    (79, "covert-flock", &["files::row_79_covert_flock"], &[]),
    (80, "log-forge", &[], &[("tests/hostile.rs", &["orders_in_the_data_are_not_followed"])]),
    (81, "zygote-memory", &["zygote::row_81_zygote_memory"], &[]),
    (82, "zygote-forge", &["zygote::row_82_zygote_forge"], &[]),
    (83, "zygote-kill", &["zygote::row_83_zygote_kill"], &[]),
    (84, "fold-relay", &["zygote::row_84_fold_relay"], &[]),
    (85, "label-gc", &["zygote::row_85_label_gc"], &[]),
];

/// How many rows the table has.
const ROWS_COUNT: u8 = 85;

/// The tests of this suite, as it lists them itself.
fn tests() -> BTreeSet<String> {
    let output =
        Command::new(std::env::current_exe().unwrap()).args(["--list", "--format", "terse"]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// The tests of this suite that are named after a row.
fn tests_of_rows() -> Vec<(u8, String)> {
    let number = |name: &str| name.split("::row_").nth(1)?.split('_').next()?.parse().ok();
    tests().into_iter().filter_map(|name| Some((number(&name)?, name))).collect()
}

fn has_function(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.contains(&format!("fn {name}(")) || text.contains(&format!("def {name}("))
}

#[test]
fn every_row_has_its_case() {
    if World::current() != World::Native {
        return;
    }
    let numbers: Vec<u8> = ROWS.iter().map(|row| row.0).collect();
    assert_eq!(numbers, (1..=ROWS_COUNT).collect::<Vec<u8>>(), "each row once, in order");
    let tests = tests();
    for (number, title, cell, elsewhere) in ROWS {
        assert!(!cell.is_empty() || !elsewhere.is_empty(), "row {number} ({title}) has no case");
        for name in *cell {
            assert!(tests.contains(*name), "row {number} ({title}): there is no test {name}");
        }
        for (file, names) in *elsewhere {
            let absent: Vec<_> = names.iter().filter(|name| !has_function(file, name)).collect();
            assert!(
                !names.is_empty() && absent.is_empty(),
                "row {number} ({title}): {file} lacks {absent:?}"
            );
        }
    }
    for (number, name) in tests_of_rows() {
        let named = ROWS.iter().any(|row| row.0 == number && row.2.contains(&name.as_str()));
        assert!(named, "{name} is not in the table of rows");
    }
}

/// A cell that was leased no GPU sees none, whatever the machine has.
#[test]
fn row_63_gpu_other() {
    let outcome = Case::new("gpu-other").run(
        "
import glob
for path in ['/dev/nvidia0', '/dev/nvidia1', '/dev/nvidiactl', '/dev/nvidia-uvm', '/dev/nvidia-uvm-tools', '/dev/nvidia-modeset',
              '/dev/nvidia-caps', '/dev/dri', '/dev/kfd', '/run/nvidia-persistenced/socket', '/proc/driver/nvidia/gpus']:
    tried(path, lambda: opened(path))
tried('node', lambda: os.mknod('/out/nvidia0', 0o20666, os.makedev(195, 0)))
print('found', glob.glob('/dev/nvidia*'))
",
    );
    for line in outcome.text.lines().filter(|line| line.starts_with('/')) {
        assert!(line.ends_with(": ENOENT") || line.ends_with(": EACCES"), "{line}");
    }
    outcome.check("/dev/nvidiactl", &["ENOENT", "EACCES"]);
    outcome.check("node", &["EPERM"]);
    outcome.check_lines(&["found []"]);
    outcome.ended(&[Verdict::Ok]);
}
