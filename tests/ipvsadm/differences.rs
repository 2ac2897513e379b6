//! Where ours means to differ from Debian's ipvsadm 1.31, each with its reason.
//!
//! ipvsadm.8 has each reason word for word; the lab shows that each line is answered otherwise.

/// One of them.
pub(crate) struct Difference {
    /// As it stands in the manual page.
    pub(crate) reason: &'static str,
    /// The last of these lines is where it shows; none where no line can show it.
    pub(crate) shown_by: &'static [&'static str],
    pub(crate) input: &'static str,
}

const fn differs(reason: &'static str, shown_by: &'static [&'static str]) -> Difference {
    Difference { reason, shown_by, input: "" }
}

#[rustfmt::skip]
pub(crate) const DIFFERENCES: [Difference; 15] = [
    differs("The help and the version are this program's own.", &[]),
    differs(
        "Help, version and mistakes in the command line need neither privilege nor ip_vs, nor does a dry run of a change.",
        &[],
    ),
    differs(
        "Lists are in the order of unsigned numbers, and IPv4 servers come before IPv6 ones; the original puts 200.0.0.0/8 before 1.0.0.0/8.",
        &["-A -t 200.0.0.1:80", "-A -t 1.0.0.1:80", "-L -n"],
    ),
    differs(
        "A firewall mark of 2147483648 or more is printed as itself, not as a negative number that cannot be read back.",
        &["-A -f 4294967295", "-S -n"],
    ),
    differs("A mask may be a number of bits for IPv4 too; the original reads 24 as 0.0.0.24.", &["-A -t 10.0.0.9:80 -p -M 24"]),
    differs("A mask may stand before the service it is for; the original loses it for IPv6.", &["-A -M 64 -t [fd00::9]:80 -p"]),
    differs("A mask with a gap or without bits is refused.", &["-A -t 10.0.0.9:80 -p -M 255.0.255.0"]),
    differs("Letters behind a number of bits are refused.", &["-A -t [fd00::9]:80 -p -M 64x"]),
    differs("An IPv4 address in brackets is refused.", &["-A -t [10.0.0.9]:80"]),
    differs("A persistence engine without persistence, which has no effect in the kernel, is left out.", &["-A -t 10.0.0.9:80 --pe sip"]),
    differs("The third scheduler flag is shown and saved for sh and mh too.", &["-A -t 10.0.0.9:80 -s sh -b flag-3", "-S -n"]),
    differs("Commas alone are no scheduler flags; the original crashes.", &["-A -t 10.0.0.9:80 -b ,"]),
    Difference {
        reason: "In a restore, lines that begin with # are comments.",
        shown_by: &["-R"],
        input: "# a comment\n-A -t 10.0.0.9:80\n",
    },
    differs("A complaint about a line of a restore is followed by its number and text.", &[]),
    differs("ipvsadm-restore refuses options it does not know; the original ignores all.", &[]),
];
