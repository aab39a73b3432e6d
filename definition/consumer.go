package definition

import (
	"strings"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func (c *fromProto) consumer(at string, p *headwaterv1.Consumer) feature.Consumer {
	consumer := feature.Consumer{Name: p.GetName(), Type: p.GetKind(), URL: p.GetUrl(), Docs: c.docs(at, p)}
	reads := p.GetReads()
	for _, list := range []struct {
		kind feature.ConsumerReadKind
		refs []string
	}{
		{feature.ReadsService, reads.GetServices()}, {feature.ReadsView, reads.GetViews()}, {feature.ReadsFeature, reads.GetFeatures()},
		{feature.ReadsDataset, reads.GetDatasets()}, {feature.ReadsModel, reads.GetModels()},
	} {
		for _, ref := range list.refs {
			read := feature.ConsumerRead{Kind: list.kind}
			if list.kind == feature.ReadsFeature {
				ref, read.Feature, _ = strings.Cut(ref, ".")
			}
			consumer.Reads = append(consumer.Reads, read)
			last := len(consumer.Reads) - 1
			consumer.Reads[last].Name, consumer.Reads[last].Version = c.viewRef(at+"."+consumer.ReadField(last), ref)
		}
	}
	return consumer
}

func consumerToProto(c *feature.Consumer) *headwaterv1.Consumer {
	p := &headwaterv1.Consumer{
		Name: c.Name, Kind: c.Type, Url: c.URL, Reads: &headwaterv1.ConsumerReads{}, Description: c.Description, Owner: c.Owner, Tags: c.Tags,
		Deprecated: deprecationToProto(c.Deprecated),
	}
	for _, r := range c.Reads {
		list := map[feature.ConsumerReadKind]*[]string{
			feature.ReadsService: &p.Reads.Services, feature.ReadsView: &p.Reads.Views, feature.ReadsFeature: &p.Reads.Features,
			feature.ReadsDataset: &p.Reads.Datasets, feature.ReadsModel: &p.Reads.Models,
		}[r.Kind]
		*list = append(*list, r.Ref())
	}
	return p
}
