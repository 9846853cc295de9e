//! The program that holds a sandbox's namespaces: it asks for no signal of its children's ends, so that what is left to
//! it vanishes, and waits for ever. Some ten instructions, and an ELF head of 120 octets before them.

/// Where the kernel puts the file in memory.
const BASE: u64 = 0x40_0000;
/// Octets of the file's head and of its one program head.
const HEAD_OCTETS: u64 = 64 + 56;

/// The program for `amd64` or `arm64`, as a file.
pub fn pause_program(architecture: &str) -> Option<Vec<u8>> {
    // e_machine: EM_X86_64, EM_AARCH64.
    let (machine, code) = match architecture {
        "amd64" => (62, amd64()),
        "arm64" => (183, arm64()),
        _ => return None,
    };
    let size = HEAD_OCTETS + u64::try_from(code.len()).ok()?;
    // ELF, 64 bits, little-endian, version 1, System V.
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(half(2)); // e_type: ET_EXEC
    file.extend(half(machine));
    file.extend(word(1)); // e_version
    file.extend((BASE + HEAD_OCTETS).to_le_bytes()); // e_entry
    file.extend(64_u64.to_le_bytes()); // e_phoff
    file.extend(0_u64.to_le_bytes()); // e_shoff
    file.extend(word(0)); // e_flags
    // e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx
    file.extend([64, 56, 1, 64, 0, 0].into_iter().flat_map(half));
    file.extend(word(1)); // p_type: PT_LOAD
    file.extend(word(5)); // p_flags: to read and to execute
    // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align: 64 KiB, the largest page of arm64
    file.extend([0, BASE, BASE, size, size, 0x1_0000].into_iter().flat_map(u64::to_le_bytes));
    file.extend(code);
    Some(file)
}

/// What `rt_sigaction` reads: handler `SIG_IGN`, flags, restorer, mask.
fn ignore() -> impl Iterator<Item = u8> {
    [1_u64, 0, 0, 0].into_iter().flat_map(u64::to_le_bytes)
}

fn amd64() -> Vec<u8> {
    let mut code = vec![
        0xb8, 13, 0, 0, 0, // mov eax, 13       rt_sigaction
        0xbf, 17, 0, 0, 0, // mov edi, 17       SIGCHLD
        0x48, 0x8d, 0x35, 23, 0, 0, 0, // lea rsi, [rip + 23]
        0x31, 0xd2, // xor edx, edx
        0x41, 0xba, 8, 0, 0, 0, // mov r10d, 8       octets of a mask
        0x0f, 0x05, // syscall
        0xb8, 34, 0, 0, 0, // mov eax, 34       pause
        0x0f, 0x05, // syscall
        0xeb, 0xf7, // jmp -9
    ];
    // Up to what is aligned.
    code.extend([0; 4]);
    code.extend(ignore());
    code
}

fn arm64() -> Vec<u8> {
    /// `movz x<register>, #value`.
    const fn set(register: u32, value: u32) -> u32 {
        0xd280_0000 | value << 5 | register
    }
    const CALL: u32 = 0xd400_0001; // svc #0
    let instructions = [
        set(8, 134), // rt_sigaction
        set(0, 17),  // SIGCHLD
        0x1000_0181, // adr x1, +48
        set(2, 0),
        set(3, 8), // octets of a mask
        CALL,
        set(8, 73), // ppoll, of nothing and without an end
        set(0, 0),
        set(1, 0),
        set(2, 0),
        set(3, 0),
        CALL,
        0x17ff_fffa, // b -24
        0xd503_201f, // nop
    ];
    let mut code: Vec<u8> = instructions.into_iter().flat_map(word).collect();
    code.extend(ignore());
    code
}

fn half(value: u16) -> [u8; 2] {
    value.to_le_bytes()
}

fn word(value: u32) -> [u8; 4] {
    value.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::unix::fs::PermissionsExt,
        process::{Command, Stdio},
        time::{Duration, Instant},
    };

    #[test]
    fn heads() {
        for (architecture, machine) in [("amd64", 62), ("arm64", 183)] {
            let file = pause_program(architecture).unwrap();
            assert_eq!((&file[..4], file[18]), (&b"\x7fELF"[..], machine), "{architecture}");
            // What the program hands to `rt_sigaction` is aligned, and at the end.
            assert_eq!((file.len() % 8, file[file.len() - 32]), (0, 1), "{architecture}");
        }
        assert_eq!(pause_program("mips"), None);
    }

    /// Started on the machine itself, it waits; and it does not eat the processor.
    #[test]
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn it_waits() {
        let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pause");
        std::fs::write(&path, pause_program(architecture).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        // Whatever comes, it is not left behind.
        let mut child = Command::new(&path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let status = std::path::PathBuf::from(format!("/proc/{}/status", child.id()));
        let waits = || {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap_or_default();
            // SIGCHLD is bit 16 of the signals that are ignored.
            let ignored = u64::from_str_radix(ignored, 16).unwrap_or_default();
            status.contains("State:\tS") && ignored & 1 << 16 != 0
        };
        let end = Instant::now() + Duration::from_secs(10);
        while !waits() && Instant::now() < end {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let waited = waits();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(waited);
    }
}
