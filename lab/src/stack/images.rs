//! The images of services whose scenario has them in ECR: names for builds, as nothing is run of them.

use aws_sdk_ecr::operation::create_repository::CreateRepositoryError;
use aws_sdk_ecr::types::{ImageIdentifier, TargetStorageClass};
use serde_json::json;

use super::example::REPOSITORY;
use super::resources::ServiceResources;
use crate::clients::Clients;
use crate::error::{Doing, LabResult};
use crate::scenario::{ImageBecomes, Service};

/// Pushes the image of every version.
pub(super) async fn push(clients: &Clients, prefix: &str, service: &Service) -> LabResult<()> {
    let create = clients.ecr.create_repository().repository_name(REPOSITORY).send().await;
    // Services share it.
    let there = create.as_ref().err().and_then(|error| error.as_service_error());
    if !there.is_some_and(CreateRepositoryError::is_repository_already_exists_exception) {
        create.doing("creating the repository of images")?;
    }
    for (version, behaviour) in &service.versions {
        let build = behaviour.build.as_ref().unwrap_or(version);
        let tag = ServiceResources::tag_of(prefix, version);
        tagged(clients, &ServiceResources::tag_of(prefix, build), &tag).await?;
    }
    Ok(())
}

/// Has a tag stand for a build, which is pushed if it is not there.
async fn tagged(clients: &Clients, build: &str, tag: &str) -> LabResult<()> {
    let manifest = json!({ "schemaVersion": 2, "build": build }).to_string();
    let put = clients.ecr.put_image().repository_name(REPOSITORY).image_tag(tag);
    put.image_manifest(manifest).send().await.doing(format!("pushing the image {tag}"))?;
    Ok(())
}

/// Changes what there is under a tag.
pub(crate) async fn change(clients: &Clients, tag: &str, becomes: ImageBecomes) -> LabResult<()> {
    let image = ImageIdentifier::builder().image_tag(tag).build();
    let doing = format!("changing the image {tag}");
    match becomes {
        ImageBecomes::Gone => {
            let delete = clients.ecr.batch_delete_image().repository_name(REPOSITORY);
            delete.image_ids(image).send().await.doing(doing)?;
        }
        ImageBecomes::Archived => {
            let archive = clients.ecr.update_image_storage_class().repository_name(REPOSITORY);
            let archive = archive.target_storage_class(TargetStorageClass::Archive);
            archive.image_id(image).send().await.doing(doing)?;
        }
        ImageBecomes::Another => tagged(clients, &format!("another than {tag}"), tag).await?,
    }
    Ok(())
}
