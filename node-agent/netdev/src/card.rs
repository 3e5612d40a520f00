//! What drivers tell over ethtool netlink: offloads, channels, speed.

use std::collections::HashMap;

use ethtool::{
    EthtoolAttr, EthtoolChannelAttr, EthtoolError, EthtoolFeatureAttr, EthtoolFeatureBit, EthtoolHandle,
    EthtoolHeader, EthtoolLinkModeAttr, EthtoolMessage,
};
use futures::{Stream, StreamExt};
use netlink_packet_generic::GenlMessage;

use crate::Nic;

/// Fills in what the drivers know; what one does not answer stays `None`.
pub(crate) async fn describe(ethtool: &EthtoolHandle, nics: &mut [Nic]) {
    let mut handle = ethtool.clone();
    let (mut features, mut channels, mut modes) = (handle.feature(), handle.channel(), handle.link_mode());
    let mut by_name: HashMap<String, &mut Nic> = nics.iter_mut().map(|nic| (nic.name.clone(), nic)).collect();
    if let Ok(answers) = features.get(None).execute().await {
        each(answers, &mut by_name).await;
    }
    if let Ok(answers) = channels.get(None).execute().await {
        each(answers, &mut by_name).await;
    }
    if let Ok(answers) = modes.get(None).execute().await {
        each(answers, &mut by_name).await;
    }
}

type Answer = Result<GenlMessage<EthtoolMessage>, EthtoolError>;

async fn each(answers: impl Stream<Item = Answer>, nics: &mut HashMap<String, &mut Nic>) {
    let mut answers = std::pin::pin!(answers);
    while let Some(answer) = answers.next().await {
        // A message that does not parse, or the ending acknowledgement: the next one may still be good.
        let Ok(message) = answer else { continue };
        let attributes = message.payload.nlas;
        if let Some(nic) = device(&attributes).and_then(|name| nics.get_mut(&name)) {
            attributes.iter().for_each(|attribute| apply(nic, attribute));
        }
    }
}

fn device(attributes: &[EthtoolAttr]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let (EthtoolAttr::Feature(EthtoolFeatureAttr::Header(header))
        | EthtoolAttr::Channel(EthtoolChannelAttr::Header(header))
        | EthtoolAttr::LinkMode(EthtoolLinkModeAttr::Header(header))) = attribute
        else {
            return None;
        };
        header.iter().find_map(|field| match field {
            EthtoolHeader::DevName(name) => Some(name.clone()),
            _ => None,
        })
    })
}

fn apply(nic: &mut Nic, attribute: &EthtoolAttr) {
    match attribute {
        EthtoolAttr::Feature(EthtoolFeatureAttr::Active(active)) => offloads(nic, active),
        EthtoolAttr::Channel(
            EthtoolChannelAttr::CombinedCount(count) | EthtoolChannelAttr::RxCount(count),
        ) => {
            nic.channels = Some(nic.channels.unwrap_or(0) + count);
        }
        EthtoolAttr::Channel(EthtoolChannelAttr::CombinedMax(max) | EthtoolChannelAttr::RxMax(max)) => {
            nic.channels_max = Some(nic.channels_max.unwrap_or(0) + max);
        }
        // All ones: the driver does not know.
        EthtoolAttr::LinkMode(EthtoolLinkModeAttr::Speed(speed)) if *speed != u32::MAX => {
            nic.speed_mbps = Some(*speed);
        }
        _ => {}
    }
}

/// The answer lists the active features alone, so absence means off.
fn offloads(nic: &mut Nic, active: &[EthtoolFeatureBit]) {
    let on = |name: &str| Some(active.iter().any(|bit| bit.name == name && bit.value));
    nic.vlan_stripping = on("rx-vlan-hw-parse");
    nic.lro = on("rx-lro");
}
