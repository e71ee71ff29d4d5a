package app

import "net/netip"

// metadataAddrs are where clouds hand credentials to whoever asks from one of their machines, as far as the clouds
// document them. Some lie in private networks, one is even public.
func metadataAddrs() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("169.254.169.254"),    // nearly all of them
		netip.MustParseAddr("169.254.170.2"),      // AWS, containers
		netip.MustParseAddr("169.254.170.23"),     // AWS, pods
		netip.MustParseAddr("169.254.0.23"),       // Tencent
		netip.MustParseAddr("169.254.42.42"),      // Scaleway
		netip.MustParseAddr("168.63.129.16"),      // Azure
		netip.MustParseAddr("100.100.100.200"),    // Alibaba
		netip.MustParseAddr("192.0.0.192"),        // Oracle
		netip.MustParseAddr("fd00:ec2::254"),      // AWS
		netip.MustParseAddr("fd00:ec2::23"),       // AWS, pods
		netip.MustParseAddr("fd20:ce::254"),       // Google
		netip.MustParseAddr("fd00:c1::a9fe:a9fe"), // Oracle
		netip.MustParseAddr("fd00:42::42"),        // Scaleway
		netip.MustParseAddr("fd00:a9fe:a9fe::1"),  // Linode
		netip.MustParseAddr("fd00:100::100:200"),  // Alibaba
		netip.MustParseAddr("fe80::a9fe:a9fe"),    // OpenStack
	}
}
