//! Network adapters of a device, one row an adapter a report.

use crate::table::table;

table! {
    1 "DeviceNetworkInfo" {
        TIMESTAMP "Timestamp" Time,
        DEVICE_ID "DeviceId" Text,
        DEVICE_NAME "DeviceName" Text,
        NETWORK_ADAPTER_NAME "NetworkAdapterName" Text,
        MAC_ADDRESS "MacAddress" Text,
        NETWORK_ADAPTER_TYPE "NetworkAdapterType" Text,
        NETWORK_ADAPTER_STATUS "NetworkAdapterStatus" Text,
        TUNNEL_TYPE "TunnelType" Text,
        CONNECTED_NETWORKS "ConnectedNetworks" Text,
        DNS_ADDRESSES "DnsAddresses" Text,
        I_PV4_DHCP "IPv4Dhcp" Text,
        I_PV6_DHCP "IPv6Dhcp" Text,
        DEFAULT_GATEWAYS "DefaultGateways" Text,
        IP_ADDRESSES "IPAddresses" Text,
        REPORT_ID "ReportId" Long,
        NETWORK_ADAPTER_VENDOR "NetworkAdapterVendor" Text,
        ONBOARDING_STATUS "OnboardingStatus" Text,
        NETWORK_ADAPTER_DNS_SUFFIX "NetworkAdapterDnsSuffix" Text,
        MACHINE_GROUP "MachineGroup" Text,
    }
}
